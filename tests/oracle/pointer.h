/* Random pointers: shapes of all types, kept ones, places. */
#ifndef TESTS_ORACLE_POINTER_H
#define TESTS_ORACLE_POINTER_H

#include "tests/oracle/device.h"

void pointer_any(struct device *device);
/* Frees the shapes that stay; the server is gone. */
void pointer_free(void);

#endif
