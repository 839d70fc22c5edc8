/*
 * zs_order.c - entries of rows that go together, by which of the rows store their column.
 *
 *     rows 0 and 1 of      0 1 1 2 3        pattern 1 (row 0 alone)   column 0
 *                          | a b . c        pattern 2 (row 1 alone)   column 2
 *                          | . d e f        pattern 3 (both)          columns 1, 3
 *
 * A kernel goes through the columns of one pattern by one branch-free loop.
 */
#include "zs_kernel.h"

#define ZS_ORDER_ROWS 8 /* a pattern is a byte */

/*
 * zs_order() - the order in which kernels read entries
 *
 * buf: 0 row of each entry, int32, ascending; 1 its column, int32 below 'span';
 *      2 -> where the columns of each pattern of each group start, int64, and the end;
 *      3 -> column, int32, of as many as there are at most entries; 4 -> the first entry of each
 *      group, int64; 5 -> for each place the entry that comes there, int32;
 *      6 span bytes of 0, 7 span + 1 int32, 8 span int32: scratch.
 * dim: 0 entries, below 2^31; 1 groups; 2 rows of a group, at most ZS_ORDER_ROWS; 3 span.
 *
 * Where two entries of a row share a column nothing is ordered, and buf[2] ends with -1.
 */
int32_t zs_order(zs_args *args)
{
    const int32_t *row = args->buf[0], *offset = args->buf[1];
    int64_t *starts = args->buf[2], *first = args->buf[4];
    int32_t *column = args->buf[3], *entry = args->buf[5];
    uint8_t *pattern = args->buf[6];
    int32_t *met = args->buf[7], *place = args->buf[8];
    const int64_t entries = args->dim[0], groups = args->dim[1], together = args->dim[2];
    const int patterns = 1 << together;
    int64_t next = 0, columns = 0, values = 0;
    for (int64_t g = 0; g < groups; g++) {
        int64_t column_at[1 << ZS_ORDER_ROWS] = {0}, value_at[1 << ZS_ORDER_ROWS];
        const int64_t begin = next, past = (g + 1) * together;
        int64_t count = 0;
        for (; next < entries && row[next] < past; next++) {
            const int bit = 1 << (row[next] - (past - together));
            uint8_t *seen = &pattern[offset[next]];
            if (*seen & bit) {
                starts[groups * (patterns - 1)] = -1;
                return 0;
            }
            met[count] = offset[next];
            count += !*seen;
            *seen |= (uint8_t)bit;
        }
        for (int64_t k = 0; k < count; k++)
            column_at[pattern[met[k]]]++;
        first[g] = values;
        for (int p = 1; p < patterns; p++) {
            const int64_t here = column_at[p];
            starts[g * (patterns - 1) + p - 1] = column_at[p] = columns;
            value_at[p] = values;
            columns += here;
            values += here * __builtin_popcount((unsigned)p);
        }
        for (int64_t k = 0; k < count; k++) { /* as they were met: by its lowest row, as it lies */
            const int p = pattern[met[k]];
            column[column_at[p]++] = met[k];
            place[met[k]] = (int32_t)value_at[p];
            value_at[p] += __builtin_popcount((unsigned)p);
        }
        for (int64_t e = begin; e < next; e++) {
            const int bit = 1 << (row[e] - (past - together));
            const int below = pattern[offset[e]] & (bit - 1);
            entry[place[offset[e]] + __builtin_popcount((unsigned)below)] = (int32_t)e;
        }
        for (int64_t k = 0; k < count; k++)
            pattern[met[k]] = 0;
    }
    starts[groups * (patterns - 1)] = columns;
    return 0;
}
