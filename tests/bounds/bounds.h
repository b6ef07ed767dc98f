/* bounds.h: what bounds.c saw. Programs are linked with it as they are: it stands in for functions of the library (the linker's --wrap). */
#ifndef PM_TESTS_BOUNDS_H
#define PM_TESTS_BOUNDS_H

/* How many accesses outside memory so far; the same place of the same kernel counts once. */
int bounds_faults(void);
/* What the last one was, "add.add_f32: read, 4 bytes behind the 40 of argument 3"; "" where there was none. */
const char *bounds_last(void);
/* Forgets them: a program that is to end well after faults that it wanted. */
void bounds_forget(void);

#endif
