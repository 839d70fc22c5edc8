/*
 * zs_banks.c - cycles of multipliers that scatter their products into banks of accumulators.
 *
 * In a cycle, 'width_a' entries of one cell of A meet 'width_b' of one cell of B, and each product
 * goes to the place that their coordinates give, in bank (place mod banks).  A bank takes one
 * product a cycle, so that the cycle lasts as long as the bank with most products needs, 1 at
 * least.  Products off the output go nowhere, nor do those whose place is not 'inside'.
 *
 * An entry of A at (y, x) and one of B at (r, s) reach row (y - r) / step_p and column
 * (x - s) / step_q of the output, where these are whole and in [0, P) and [0, Q).
 *
 *   dim: pairs, width_a, width_b, banks, step_p, step_q, P, Q, places from row to row, and from
 *        column to column, whether some places are not inside
 *   buf: 0 pos, 1 y, 2 x, 3 base of A       cell i has the entries pos[i] .. pos[i + 1);
 *        4 pos, 5 r, 6 s, 7 base of B       the bases add up to the place of row 0, column 0
 *        8 cell of A, 9 cell of B           of each pair of cells
 *       10 cycles[pairs], 11 landed[pairs]  written; landed: products on the output
 *       12 scratch, int64: banks + width_a * width_b
 *       13 inside                          of each place, 0 or 1; read where some are not
 */
#include "zs_kernel.h"

/* zs_whole() - value / step where that is whole and in [0, extent), else -1. */
static inline int64_t zs_whole(int64_t value, int64_t step, int64_t extent)
{
    if (value < 0 || value >= step * extent || (step != 1 && value % step != 0))
        return -1;
    return step == 1 ? value : value / step;
}

int32_t zs_bank_cycles(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    const int64_t pairs = args->dim[0], width_a = args->dim[1], width_b = args->dim[2];
    const int64_t banks = args->dim[3], step_p = args->dim[4], step_q = args->dim[5];
    const int64_t rows = args->dim[6], columns = args->dim[7];
    const int64_t row = args->dim[8], column = args->dim[9];
    const int64_t *pos_a = args->buf[0], *ya = args->buf[1], *xa = args->buf[2];
    const int64_t *base_a = args->buf[3], *pos_b = args->buf[4], *rb = args->buf[5];
    const int64_t *sb = args->buf[6], *base_b = args->buf[7];
    const int64_t *cell_a = args->buf[8], *cell_b = args->buf[9];
    int64_t *cycles = args->buf[10], *landed = args->buf[11], *load = args->buf[12];
    const int64_t *inside = args->dim[10] ? args->buf[13] : NULL;
    int64_t *used = load + banks;
    const int64_t mask = (banks & (banks - 1)) == 0 ? banks - 1 : 0;
    for (int64_t k = 0; k < banks; k++)
        load[k] = 0;
    for (int64_t pair = 0; pair < pairs; pair++) {
        ZS_POLL(args);
        const int64_t last_a = pos_a[cell_a[pair] + 1], last_b = pos_b[cell_b[pair] + 1];
        int64_t spent = 0, on = 0;
        for (int64_t a0 = pos_a[cell_a[pair]]; a0 < last_a; a0 += width_a) {
            const int64_t a1 = a0 + width_a < last_a ? a0 + width_a : last_a;
            for (int64_t b0 = pos_b[cell_b[pair]]; b0 < last_b; b0 += width_b) {
                const int64_t b1 = b0 + width_b < last_b ? b0 + width_b : last_b;
                int64_t longest = 1;
                int64_t taken = 0;
                for (int64_t a = a0; a < a1; a++)
                    for (int64_t b = b0; b < b1; b++) {
                        const int64_t p = zs_whole(ya[a] - rb[b], step_p, rows);
                        const int64_t q = zs_whole(xa[a] - sb[b], step_q, columns);
                        if (p < 0 || q < 0)
                            continue;
                        const int64_t place = base_a[a] + base_b[b] + p * row + q * column;
                        if (inside != NULL && inside[place] == 0)
                            continue;
                        const int64_t bank = mask ? place & mask : place % banks;
                        const int64_t now = ++load[bank];
                        longest = now > longest ? now : longest;
                        used[taken++] = bank;
                    }
                spent += longest;
                on += taken;
                while (taken > 0)
                    load[used[--taken]] = 0;
            }
        }
        cycles[pair] = spent;
        landed[pair] = on;
    }
    return ZS_OK;
}
