/*
 * zs_unrolled.h - how kernels run the programs of zs_unroll.c.
 */
#ifndef ZS_UNROLLED_H
#define ZS_UNROLLED_H

/* Rows whose sums a group holds in registers; 4 of 32 are left for what is loaded. */
#define ZS_MEMBERS 28

/* Shifts whose lanes are masked: registers that the mask of rows leaves free. */
#define ZS_MASKS 6

/*
 * zs_program - rows of a result, a vector each, plus the entries of a program times vectors.
 *
 * x: where offsets count from.  values: of the program's entries, in its order.  y: the first row;
 * others follow 'pitch' bytes apart.  Programs of the first block start from 0, those of others go
 * on from what rows hold.  stored: a bit for each lane that is there.  masks: for each
 * shift a bit for each lane whose place lies in its own row; others are read as 0.  next_code,
 * next_values: from where on code and values of the program that is run next are fetched meanwhile,
 * a line of code for each ZS_CODE_AHEAD bytes of its own, so that the memory is asked all along.
 */
typedef void zs_program(const void *x, const void *values, void *y, int64_t pitch,
                        uint32_t stored, const uint16_t *masks,
                        const void *next_code, const void *next_values);

/* Bytes of code for each line of 64 that is fetched: a program that is run for four vectors has
   then fetched all of one like it. */
#define ZS_CODE_AHEAD 256

/* Bytes of rows that leave a second-level cache to what is read: fewer are near from call to call. */
#define ZS_FAR_BYTES (1 << 20)

/* What a kernel knows of its programs; arrays as zs_unroll() takes them. */
typedef struct zs_unrolled {
    const uint8_t *code;
    const int64_t *starts, *first;
    const uint8_t *member;
    const int32_t *offset;
    const uint8_t *shift;
    const uint16_t *masks;   /* ZS_MASKS for each vector of the line; null where there are none */
    int64_t groups, members; /* of a program; most rows of one */
} zs_unrolled;

/* Vectors [first, end) of a line lie in an array of their own, vector 0 of a run 'at' elements
   behind its start; those behind them 'behind' elements further than where they would be.  Code is
   made for an array that starts 'residue' bytes behind the start of a line of the cache; that for
   any other is 'programs' further on. */
typedef struct zs_lying {
    const void *source;
    int64_t at, first, end, behind, residue, programs;
} zs_lying;

/* Tiles of a line for each part of a call: the code of a program is fetched for no fewer; and
   programs for each part, from which they are shared instead, so that each is fetched once. */
#define ZS_FEWEST_SHARED 4

/*
 * zs_divide_line() - the share of part 'part' of 'parts' in a line of n tiles.
 *
 * Where there are many programs, or tiles are too few for all parts, those that come to the same
 * tiles share the programs inside.  Bounds as zs_divide().
 */
ZS_INLINE zs_share zs_divide_line(int64_t part, int64_t parts, int64_t n, int64_t programs)
{
    const int64_t many = programs / ZS_FEWEST_SHARED >= parts;
    const int64_t groups = many ? 1 : zs_min(zs_max(n / ZS_FEWEST_SHARED, 1), parts);
    const zs_share of = zs_divide(part, parts, 0, groups);
    return (zs_share){n * of.lo / groups, n * of.hi / groups, of.part, of.parts};
}

/*
 * ZS_DEFINE_UNROLLED() - zs_run_unrolled() for the kernel's zs_vec of TYPE.
 *
 * One program against every vector of a line of 'line' lanes, of which vector t lies at
 * source + t * step; the program has 'rows' rows, from result on, 'pitch' elements apart.
 * Code that starts nowhere (its end is 0) is not there: the entries are then walked.  The code of
 * program 'after', which is run next, is fetched meanwhile.
 * vector: number of the first vector in the line that masks are of.  Where nothing is resumed and
 * all 'rows' that are left may be far, those of the next vector are asked for while one is computed.
 * lying: which vectors of the line are read elsewhere, or null.
 */
#define ZS_DEFINE_UNROLLED(TYPE)                                                            \
    ZS_INLINE zs_vec zs_met(TYPE value, const TYPE *from, uint32_t kept)                    \
    {                                                                                       \
        zs_vec x = *(const zs_vec *)from;                                                   \
        if (~kept)                                                                          \
            for (unsigned i = 0; i < LANES; i++)                                            \
                x[i] = kept >> i & 1 ? x[i] : 0;                                            \
        return value * x;                                                                   \
    }                                                                                       \
    ZS_DEFINE_RUN_UNROLLED(TYPE, TYPE, 1)

/* The same of lanes of JOINED elements of type HELD; zs_met() says what a value adds to a vector of
   sums, of lanes of which a bit is kept. */
#define ZS_DEFINE_RUN_UNROLLED(TYPE, HELD, JOINED)                                          \
    static __attribute__((noinline, unused)) void zs_walk_unrolled(                         \
        const zs_unrolled *all, int64_t program, int64_t rows, const TYPE *values,          \
        const HELD *source, TYPE *result, int64_t pitch, int64_t there, int resumed,        \
        const uint16_t *masks)                                                              \
    {                                                                                       \
        for (int64_t g = 0; g < all->groups && g * all->members < rows; g++) {              \
            const int64_t left = rows - g * all->members;                                   \
            const int64_t n = left < all->members ? left : all->members;                    \
            const int64_t *first = all->first + program * all->groups + g;                  \
            TYPE *row = result + g * all->members * pitch;                                  \
            zs_vec sums[ZS_MEMBERS] = {};                                                   \
            if (resumed)                                                                    \
                for (int64_t i = 0; i < n; i++)                                             \
                    sums[i] = zs_load_part(row + i * pitch, there);                         \
            for (int64_t e = first[0]; e < first[1]; e++) {                                 \
                const int64_t at = all->offset[e];                                          \
                const int masked = all->shift && all->shift[e] > 0;                         \
                const uint32_t kept = masked ? masks[all->shift[e] - 1] : (uint32_t)-1;     \
                if (JOINED > 1 && at < 0)                                                   \
                    sums[all->member[e]] += values[e];                                      \
                else                                                                        \
                    sums[all->member[e]] += zs_met(values[e], source + at * JOINED, kept);  \
            }                                                                               \
            for (int64_t i = 0; i < n; i++)                                                 \
                zs_store_part(row + i * pitch, there, sums[i]);                             \
        }                                                                                   \
    }                                                                                       \
    ZS_INLINE void zs_run_unrolled(                                                         \
        const zs_unrolled *all, int64_t program, int64_t after, int64_t rows,               \
        const TYPE *values, const HELD *source, int64_t step, int64_t vector, TYPE *result, \
        int64_t pitch, int64_t line, int resumed, const zs_lying *lying)                    \
    {                                                                                       \
        const int64_t n = (line + LANES - 1) / LANES;                                       \
        const int elsewhere = lying && (intptr_t)lying->source % 64 != lying->residue;      \
        const int64_t *starts = all->starts + (elsewhere ? lying->programs : 0);            \
        const int coded = starts[program + 1] != 0;                                         \
        const int64_t most = all->groups * all->members;                                    \
        const int far = rows * pitch * (int64_t)sizeof(TYPE) >= ZS_FAR_BYTES;               \
        const int64_t written = resumed || !far ? 0 : rows < most ? rows : most;            \
        zs_program *run = (zs_program *)(uintptr_t)(all->code + starts[program]);           \
        const uint8_t *next_code = all->code + starts[after];                               \
        const int64_t length = starts[after + 1] - starts[after];                           \
        const int64_t *next_first = all->first + after * all->groups;                       \
        const TYPE *next_values = values + next_first[0];                                   \
        const int64_t held = next_first[all->groups] - next_first[0];                       \
        for (int64_t t = 0; t < n; t++) {                                                   \
            const int64_t there = line - t * LANES;                                         \
            const HELD *from = source + t * step;                                           \
            if (lying && vector + t >= lying->end)                                          \
                from += lying->behind;                                                      \
            else if (lying && vector + t >= lying->first)                                   \
                from = (const HELD *)lying->source + (lying->at + t * step);                \
            const uint32_t stored = there < LANES ? (1u << there) - 1 : (uint32_t)-1;       \
            const uint16_t *masks = all->masks ? all->masks + (vector + t) * ZS_MASKS : 0;  \
            if (coded) {                                                                    \
                for (int64_t i = 0; i < written && t + 1 < n; i++)                          \
                    __builtin_prefetch(result + (t + 1) * LANES + i * pitch, 1, 3);         \
                run(from, values + all->first[program * all->groups],                       \
                    result + t * LANES, pitch * (int64_t)sizeof(TYPE), stored, masks,       \
                    next_code + length * t / n / 64 * 64, next_values + held * t / n);      \
            } else {                                                                        \
                zs_walk_unrolled(all, program, rows, values, from, result + t * LANES,      \
                                 pitch, there, resumed, masks);                             \
            }                                                                               \
        }                                                                                   \
    }

#endif
