/* amx.cl: the tiles of Intel's AMX, for kernels of pairs of bfloat16 (gemm_pairs.cl): eight of 16 rows of 16 words. TILE_DOT adds the product of a, 16 rows
 * of 16 words, and b, 16 words of 16 columns, to c, 16 rows of 16 columns in float32: in every element pair after pair, as they lie. */
#ifdef AMX
struct tile_shape {
	uchar palette, start, reserved[14];
	ushort bytes[16];
	uchar rows[16];
};

#define TILE_LOAD(t, p, stride) \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t :: "r"((size_t)(p)), "r"((size_t)(stride)) : "memory")
#define TILE_STORE(t, p, stride) \
	__asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" :: "r"((size_t)(p)), "r"((size_t)(stride)) : "memory")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

/* Eight tiles of 16 rows of 64 bytes. The shape belongs to the thread: it is set in every work-item and given back. */
inline void begin_tiles(void)
{
	struct tile_shape s;

	s.palette = 1;
	s.start = 0;
	for (int i = 0; i < 14; i++)
		s.reserved[i] = 0;
	for (int i = 0; i < 16; i++) {
		s.bytes[i] = i < 8 ? 64 : 0;
		s.rows[i] = i < 8 ? 16 : 0;
	}
	__asm__ volatile("ldtilecfg (%0)" :: "r"((size_t)&s) : "memory");
}

inline void end_tiles(void)
{
	__asm__ volatile("tilerelease" ::);
}
#else
inline void begin_tiles(void)
{
}

inline void end_tiles(void)
{
}
#endif
