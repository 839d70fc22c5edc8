/*
 * zs_codecs.c - dense arrays to bitmasks and lists of coordinates, and back.
 *
 * An array is 'rows' rows of 'extent' items of 'width' bytes (1, 2, 4 or 8), taken as bits: an
 * item is stored where (item & care) != fill.  With care = all bits but the sign and fill = 0
 * these are the floats that are not zero: NaN is stored, -0.0 is not.  A row has
 * ceil(extent / 64) words, coordinate c at bit c % 64 of word c / 64; bits past 'extent' are 0.
 *
 * Each way passes over the array once: memory, not arithmetic, is what takes its time.  So an array
 * whose rows to be are the columns of matrices, 'columns' of them in each, is turned a few columns
 * at a time, which are encoded while they are near; of other arrays 'columns' is 0.
 */
#include "zs_turns.h"

/* zs_encode_of() - both encoders; 'crd_width' is 0 where words are kept, not coordinates. */
ZS_FOLDED int32_t zs_encode_of(zs_args *args, int width, int crd_width)
{
    const char *x = args->buf[0];
    int64_t *state = args->buf[1];
    char *values = args->buf[2];
    uint64_t *words = args->buf[3];
    char *crd = args->buf[3];
    int64_t *index = args->buf[4]; /* rank of each word, or pos of each row */
    const int64_t rows = args->dim[0], extent = args->dim[1], room = args->dim[3];
    const uint64_t care = (uint64_t)args->dim[4], fill = (uint64_t)args->dim[5];
    const int64_t columns = args->dim[7];
    const int64_t row_words = (extent + ZS_WORD - 1) / ZS_WORD;
    char *near = args->buf[5];
    const char *end = columns > 0 ? near + ZS_TURN_COLUMNS * extent * width
                                  : x + rows * extent * width;
    int64_t row = state[0], c = state[1], p = state[2];
    int64_t column = columns > 0 ? row % columns : 0;
    if (crd_width != 0 && row == 0)
        index[0] = 0;
    for (; row < rows; row++, c = 0) {
        const int64_t within = column % ZS_TURN_COLUMNS;
        const char *items = x + row * extent * width;
        ZS_POLL(args);
        if (columns > 0) {
            items = near + within * extent * width;
            if (within == 0)
                zs_turn_columns(near, x + ((row - column) * extent + column) * width, extent,
                                columns, zs_min(columns - column, ZS_TURN_COLUMNS), width);
            column = column + 1 < columns ? column + 1 : 0;
        }
        while (c < extent) {
            const int64_t left = (extent - c) / ZS_WORD, fit = (room - p) / ZS_WORD;
            const int64_t whole = left < fit ? left : fit;
            const char *from = items + c * width;
            int64_t at = row * row_words + c / ZS_WORD;
            if (fit == 0) { /* to be called again with more */
                state[0] = row;
                state[1] = c;
                state[2] = p;
                return ZS_OK;
            }
            for (int64_t k = 0; k < whole; k++, at++) {
                const uint64_t word = zs_word_take(values + p * width, from, width, care, fill);
                if (crd_width != 0) {
                    zs_word_list(crd + p * crd_width, crd_width, c, word);
                } else {
                    words[at] = word;
                    index[at] = p;
                }
                p += __builtin_popcountll(word);
                c += ZS_WORD;
                from += ZS_WORD * width;
            }
            if (whole == 0) { /* what ends a row in the middle of a word */
                uint64_t word;
                if (end - from >= ZS_WORD * width) { /* the next row's are packed in vain */
                    word = zs_word_take(values + p * width, from, width, care, fill);
                    word &= zs_bits_below(extent - c);
                } else {
                    word = zs_mask(from, width, extent - c, care, fill);
                    zs_pack(values + p * width, from, width, word);
                }
                if (crd_width != 0) {
                    zs_word_list(crd + p * crd_width, crd_width, c, word);
                } else {
                    words[at] = word;
                    index[at] = p;
                }
                p += __builtin_popcountll(word);
                c = extent;
            }
        }
        if (crd_width != 0)
            index[row + 1] = p;
    }
    state[0] = row;
    state[1] = 0;
    state[2] = p;
    return ZS_OK;
}

/*
 * zs_encode_words() - words of an array, the bits set in all words before each, and the values.
 *
 * It goes on from state = {row, coordinate, values so far}, ends where 'room' has no place for a
 * whole word's values, and leaves there what it has come to; row = 'rows' when it is done.
 * buf: array, state, values, words, rank, near.  dim: rows, extent, width, room, care, fill, nothing,
 * columns.  'near' has room for ZS_TURN_COLUMNS rows where there are columns, and keeps them
 * until it is called again.
 */
int32_t zs_encode_words(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_encode_of(args, 1, 0);
    case 2: return zs_encode_of(args, 2, 0);
    case 4: return zs_encode_of(args, 4, 0);
    default: return zs_encode_of(args, 8, 0);
    }
}

ZS_FOLDED int32_t zs_encode_by(zs_args *args, int width)
{
    switch (args->dim[6]) {
    case 2: return zs_encode_of(args, width, 2);
    case 4: return zs_encode_of(args, width, 4);
    default: return zs_encode_of(args, width, 8);
    }
}

/*
 * zs_encode_lists() - the coordinates of what each row stores, where each row ends, the values.
 *
 * 'state' and 'room', of values and coordinates alike, are as in zs_encode_words().
 * buf: array, state, values, crd, pos, near.  dim: rows, extent, width, room, care, fill, width of a
 * coordinate (2, 4, 8), columns.
 */
int32_t zs_encode_lists(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_encode_by(args, 1);
    case 2: return zs_encode_by(args, 2);
    case 4: return zs_encode_by(args, 4);
    default: return zs_encode_by(args, 8);
    }
}

/* zs_fill_row() - 'n' items that are all the fill. */
ZS_FOLDED void zs_fill_row(char *to, int width, int64_t n, uint64_t fill)
{
    int64_t i = 0;
    if (fill == 0) {
        __builtin_memset(to, 0, (size_t)(n * width));
        return;
    }
    for (; i + ZS_WORD <= n; i += ZS_WORD)
        zs_word_spread(to + i * width, to, width, 0, fill);
    for (; i < n; i++)
        zs_put(to, width, i, fill);
}

/*
 * A mask with fewer bits a word is put into rows that are filled at once, where a row stays near
 * until then: vectors that lie across two lines of the cache, as an array may, took a fifth longer
 * on one machine (Granite Rapids); no command of the repository finds it again.
 */
#define ZS_FEW 2
#define ZS_NEAR (1 << 15)

/* zs_put_word() - the next items of 'from' where bits are set; nothing else is touched. */
ZS_FOLDED void zs_put_word(char *to, const char *from, int width, uint64_t word)
{
    for (int64_t p = 0; word; word &= word - 1)
        zs_put(to, width, __builtin_ctzll(word), zs_item(from, width, p++));
}

ZS_FOLDED int32_t zs_spread_of(zs_args *args, int width)
{
    const uint64_t *words = args->buf[0];
    const char *values = args->buf[1];
    char *x = args->buf[2];
    const int64_t rows = args->dim[0], extent = args->dim[1], total = args->dim[3];
    const uint64_t fill = (uint64_t)args->dim[4];
    const int few = extent <= ZS_NEAR / width &&
                    total < ZS_FEW * rows * ((extent + ZS_WORD - 1) / ZS_WORD);
    int64_t at = 0, p = 0;
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        if (few)
            zs_fill_row(x + row * extent * width, width, extent, fill);
        for (int64_t c = 0; c < extent; c += ZS_WORD, at++) {
            const uint64_t word = words[at];
            const int64_t n = extent - c < ZS_WORD ? extent - c : ZS_WORD;
            const int count = __builtin_popcountll(word);
            char *to = x + (row * extent + c) * width;
            if (count > total - p || (n < ZS_WORD && word >> n))
                return zs_fail(args, ZS_ERANGE, at);
            if (few)
                zs_put_word(to, values + p * width, width, word);
            else if ((rows - row) * extent - c >= ZS_WORD) /* past the row are those of the next */
                zs_word_spread(to, values + p * width, width, word, fill);
            else
                zs_spread_word(to, values + p * width, width, n, word, fill);
            p += count;
        }
    }
    return p == total ? ZS_OK : zs_fail(args, ZS_ERANGE, at);
}

/*
 * zs_spread() - an array of the values of a bitmask and of its fill.
 *
 * ZS_ERANGE where a bit lies past 'extent', or bits and values differ in number.
 * buf: words, values, array.  dim: rows, extent, width, how many values there are, fill's bits.
 */
int32_t zs_spread(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_spread_of(args, 1);
    case 2: return zs_spread_of(args, 2);
    case 4: return zs_spread_of(args, 4);
    default: return zs_spread_of(args, 8);
    }
}

/*
 * zs_scatter_row() - puts items at their coordinates; returns 'end', or the position of the first
 * that leads out of the row.  Four are tested at once: a branch for each costs as much as the rest.
 */
ZS_FOLDED int64_t zs_scatter_row(char *to, const void *crd, const void *values, int width,
                                 int crd_width, int64_t begin, int64_t end, uint64_t extent)
{
    int64_t p = begin;
    for (; p + 4 <= end; p += 4) {
        uint64_t c[4], out = 0;
        _Pragma("GCC unroll 4") for (int k = 0; k < 4; k++) {
            c[k] = zs_item(crd, crd_width, p + k);
            __asm__("" : "+r"(c[k])); /* no vector of them, which would go through memory */
            out |= c[k] >= extent;
        }
        if (out)
            break;
        _Pragma("GCC unroll 4") for (int k = 0; k < 4; k++)
            zs_put(to, width, (int64_t)c[k], zs_item(values, width, p + k));
    }
    for (; p < end; p++) {
        const uint64_t c = zs_item(crd, crd_width, p);
        if (c >= extent)
            return p;
        zs_put(to, width, (int64_t)c, zs_item(values, width, p));
    }
    return end;
}

ZS_FOLDED int32_t zs_scatter_of(zs_args *args, int width, int crd_width)
{
    const int64_t *pos = args->buf[0];
    char *x = args->buf[3];
    const int64_t rows = args->dim[0], extent = args->dim[1], total = args->dim[4];
    const uint64_t fill = (uint64_t)args->dim[5];
    const int64_t filled = args->dim[6];
    for (int64_t row = 0; row < rows; row++) {
        ZS_POLL(args);
        if (pos[row] < 0 || pos[row + 1] > total)
            return zs_fail(args, ZS_ERANGE, row);
        char *to = x + row * extent * width;
        if (!filled)
            zs_fill_row(to, width, extent, fill);
        const int64_t p = zs_scatter_row(to, args->buf[1], args->buf[2], width, crd_width, pos[row],
                                         pos[row + 1], (uint64_t)extent);
        if (p < pos[row + 1])
            return zs_fail(args, ZS_ERANGE, p);
    }
    return ZS_OK;
}

ZS_FOLDED int32_t zs_scatter_by(zs_args *args, int width)
{
    switch (args->dim[3]) {
    case 2: return zs_scatter_of(args, width, 2);
    case 4: return zs_scatter_of(args, width, 4);
    default: return zs_scatter_of(args, width, 8);
    }
}

/*
 * zs_scatter() - an array of the values of lists of coordinates and of its fill.
 *
 * Row by row, so that what is filled is still near when values are put into it.  ZS_ERANGE where a
 * pointer or a coordinate leads out of the arrays.
 * buf: pos, crd, values, array.  dim: rows, extent, width, width of a coordinate, how many
 * values there are, fill's bits, whether the array holds nothing but the fill already.
 */
int32_t zs_scatter(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    switch (args->dim[2]) {
    case 1: return zs_scatter_by(args, 1);
    case 2: return zs_scatter_by(args, 2);
    case 4: return zs_scatter_by(args, 4);
    default: return zs_scatter_by(args, 8);
    }
}
