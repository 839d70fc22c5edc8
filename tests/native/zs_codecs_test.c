/*
 * Arrays through the routines of zs_codecs.c and back, of rows shorter and longer than a word; built
 * with ASan and UBSan.
 *
 * Each array is malloc'ed to its exact size, so that a touch outside it is caught.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zs_codecs.c"

static int failures = 0;

#define CHECK(holds)                                                                        \
    do {                                                                                    \
        if (!(holds)) {                                                                     \
            printf("line %d: not so: %s\n", __LINE__, #holds);                              \
            failures++;                                                                     \
        }                                                                                   \
    } while (0)

typedef struct layout {
    int64_t rows, extent, columns; /* columns of each matrix that is turned, or 0 */
    int width, crd_width;
} layout;

static void *exact(int64_t n_bytes)
{
    void *found = calloc(n_bytes ? (size_t)n_bytes : 1, 1);
    if (found == NULL)
        abort();
    return found;
}

static uint64_t drawn(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Where the item of a row lies: matrices of 'columns' columns hold the rows as those. */
static int64_t place(layout of, int64_t row, int64_t c)
{
    if (of.columns == 0)
        return row * of.extent + c;
    return (row / of.columns * of.extent + c) * of.columns + row % of.columns;
}

/* Encodes 'x', in calls of so much room that each has some to do; returns how many are stored. */
static int64_t encoded(int32_t (*encode)(zs_args *), layout of, char *x, char **values, char **crd,
                       void *index, int64_t crd_bytes)
{
    int64_t state[3] = {0}, room = ZS_WORD;
    char *near = exact(of.columns ? ZS_TURN_COLUMNS * of.extent * of.width : 0);
    for (; state[0] < of.rows; room += ZS_WORD) {
        *values = realloc(*values, (size_t)(room * of.width));
        if (of.crd_width)
            *crd = realloc(*crd, (size_t)(room * crd_bytes));
        zs_args args = {.version = ZS_ARGS_VERSION,
                        .buf = {x, state, *values, *crd, index, near},
                        .dim = {of.rows, of.extent, of.width, room, -1, 0, of.crd_width, of.columns}};
        CHECK(encode(&args) == ZS_OK);
    }
    free(near);
    return state[2];
}

static void test(layout of, unsigned of_256)
{
    const int64_t items = of.rows * of.extent, words = of.rows * ((of.extent + 63) / 64);
    char *x = exact(items * of.width), *in_rows = exact(items * of.width);
    char *back = exact(items * of.width), *values = exact(0), *crd = exact(0);
    int64_t stored = 0;
    for (int64_t row = 0; row < of.rows; row++)
        for (int64_t c = 0; c < of.extent; c++) {
            const uint64_t item = (drawn() & 255) < of_256 ? 1 + drawn() % 100 : 0;
            zs_put(x, of.width, place(of, row, c), item);
            zs_put(in_rows, of.width, row * of.extent + c, item);
            stored += item != 0;
        }
    if (of.crd_width) {
        int64_t *pos = exact((of.rows + 1) * 8);
        CHECK(encoded(zs_encode_lists, of, x, &values, &crd, pos, of.crd_width) == stored);
        zs_args args = {.version = ZS_ARGS_VERSION,
                        .buf = {pos, crd, values, back},
                        .dim = {of.rows, of.extent, of.width, of.crd_width, stored}};
        CHECK(zs_scatter(&args) == ZS_OK);
        free(pos);
    } else {
        uint64_t *bits = exact(words * 8);
        int64_t *rank = exact(words * 8);
        free(crd);
        crd = (char *)bits;
        CHECK(encoded(zs_encode_words, of, x, &values, &crd, rank, 0) == stored);
        char *kept = exact(stored * of.width);
        memcpy(kept, values, (size_t)(stored * of.width));
        zs_args args = {.version = ZS_ARGS_VERSION,
                        .buf = {bits, kept, back},
                        .dim = {of.rows, of.extent, of.width, stored}};
        CHECK(zs_spread(&args) == ZS_OK);
        free(kept);
        free(rank);
    }
    CHECK(memcmp(back, in_rows, (size_t)(items * of.width)) == 0);
    free(x), free(in_rows), free(back), free(values), free(crd);
}

int main(void)
{
    const int64_t extents[] = {1, 3, 7, 56, 63, 64, 65, 130};
    const int64_t rows[] = {1, 2, 9, 34};
    const int widths[] = {1, 2, 4, 8}, crd_widths[] = {0, 2, 4, 8};
    const unsigned densities[] = {0, 5, 128, 256};
    for (size_t e = 0; e < sizeof extents / sizeof *extents; e++)
        for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
            for (size_t w = 0; w < 4; w++)
                for (size_t k = 0; k < 4; k++)
                    for (size_t d = 0; d < 4; d++)
                        for (int turned = 0; turned < 2; turned++) {
                            const int64_t columns = turned ? rows[r] : 0;
                            test((layout){rows[r], extents[e], columns, widths[w], crd_widths[k]},
                                 densities[d]);
                        }
    puts(failures ? "bad" : "good");
    return failures > 0;
}
