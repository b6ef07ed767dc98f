/* cppcheck.h: jansson's loops in a form that cppcheck follows; `make lint` gives it this file. */
#define json_object_foreach(object, key, value) for (key = __FILE__; (value = object) != 0;)
#define json_array_foreach(array, index, value) for (index = 0; (value = array) != 0;)
