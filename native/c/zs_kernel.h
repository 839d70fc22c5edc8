/*
 * zs_kernel.h - what every generated kernel stands on.
 *
 * The loader pastes this text in place of  #include "zs_kernel.h",  so that the text
 * that is hashed, compiled and kept is whole.  Nothing but stdint and stddef is included:
 * immintrin.h alone costs five times the compilation of a kernel.
 *
 * Positions and coordinates are int64_t; 'lo' and 'hi' bound half-open ranges.
 */
#ifndef ZS_KERNEL_H
#define ZS_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#define ZS_INLINE static inline __attribute__((unused))

/* For what a kernel calls a few times, from several places: it is compiled once. */
#define ZS_APART static __attribute__((noinline, unused))

/* ---- the call ----------------------------------------------------------------------- */

/* The loader reads the lines between the two marks: no preprocessor but plain numbers. */
/* cdef: begin */
#define ZS_ARGS_VERSION 4
#define ZS_MAX_BUFS 96
#define ZS_MAX_DIMS 64
#define ZS_MAX_SCALARS 16

/* Why a kernel gave up.  load.py holds the sentence for each; a test keeps them level. */
#define ZS_OK 0
#define ZS_EVERSION 1
#define ZS_ERANGE 2
#define ZS_ECOLLISION 3
#define ZS_EINTERNAL 4
#define ZS_ESTOPPED 5

/*
 * zs_args - the signature of every kernel:  int32_t NAME(zs_args *args).
 *
 * The caller sets 'version' to ZS_ARGS_VERSION, 'error', 'work' and 'stop' to 0 and 'where' to
 * -1.  It may set 'stop' to 1 while the kernel runs, which then soon fails with ZS_ESTOPPED.
 * A kernel that fails returns a ZS_E... code, leaves it in 'error' too, and may leave
 * the operand or the position at fault in 'where'.  Results are then unspecified.
 *
 * 'part' to 'team' are the pool's (zs_pool.c), which runs one kernel on several threads, each
 * with arguments of its own that differ in 'part' alone.  Every other caller leaves them 0.
 */
typedef struct zs_args {
    int32_t version;
    int32_t error;
    int64_t where;
    int64_t work;      /* multiplications executed, where the kernel counts */
    int64_t stop;      /* 1 where the caller wants no more of it */
    int64_t part;      /* this call does part 'part' of 'parts' ... */
    int64_t parts;
    struct zs_args *lead;       /* ... of the call with these arguments, whose 'stop' counts */
    int32_t (*meet)(struct zs_args *args);      /* waits for the other parts; see ZS_BARRIER */
    void *team;
    void *buf[ZS_MAX_BUFS];     /* arrays, in the order that the kernel's prologue names */
    int64_t dim[ZS_MAX_DIMS];   /* extents, padding, constants */
    double real[ZS_MAX_SCALARS];
    int64_t whole[ZS_MAX_SCALARS];
} zs_args;
/* cdef: end */

_Static_assert(sizeof(void *) == 8, "positions and pointers are 64 bits");
_Static_assert(offsetof(zs_args, buf) == 72, "zs_args has a hole before buf");
_Static_assert(sizeof(zs_args) == 72 + 8 * (ZS_MAX_BUFS + ZS_MAX_DIMS + 2 * ZS_MAX_SCALARS),
               "zs_args has a hole");

/*
 * zs_fail() - leave 'code' and 'where' in the arguments and return 'code'.
 *
 * For  return zs_fail(args, ZS_ERANGE, p);  'where' is -1 where nothing more is known.
 */
ZS_INLINE int32_t zs_fail(zs_args *args, int32_t code, int64_t where)
{
    args->error = code;
    args->where = where;
    return code;
}

/*
 * zs_check_version() - ZS_OK, or ZS_EVERSION where the caller filled another struct.
 *
 * Every kernel calls it first; 'where' then holds the version that the caller filled.  A call
 * that no pool has made one of several parts is made the only one.
 */
ZS_INLINE int32_t zs_check_version(zs_args *args)
{
    if (args->version != ZS_ARGS_VERSION)
        return zs_fail(args, ZS_EVERSION, args->version);
    if (args->parts <= 1) {
        args->part = 0;
        args->parts = 1;
        args->lead = args;
    }
    return ZS_OK;
}

/* ZS_HOLD() - keep a pointer in one register, whatever it was computed from. */
#define ZS_HOLD(pointer) __asm__("" : "+r"(pointer))

/* ZS_FETCH() - have the memory fetch what lies so many bytes on, which may be past an array's end. */
#define ZS_FETCH(from, bytes) __builtin_prefetch((const void *)((uintptr_t)(from) + (bytes)))

/*
 * zs_bring() - have the memory bring 'n_bytes' from 'from' on as near as the second-level cache.
 *
 * They may lie past an array's end.  For what is needed soon, but not next: it takes no room in the
 * first-level cache from what is.
 */
ZS_INLINE void zs_bring(const void *from, int64_t n_bytes)
{
    for (int64_t at = 0; at < n_bytes; at += 64)
        __builtin_prefetch((const void *)((uintptr_t)from + (uintptr_t)at), 0, 2);
}

/* ZS_POLL() - leave a kernel that the caller has stopped; for loops that hold other loops. */
#define ZS_POLL(args)                                                                       \
    do {                                                                                    \
        if (__builtin_expect(__atomic_load_n(&(args)->lead->stop, __ATOMIC_RELAXED) != 0, 0)) \
            return zs_fail(args, ZS_ESTOPPED, -1);                                          \
    } while (0)

/*
 * ZS_BARRIER() - go on when all parts have come here, and see what they have written.
 *
 * All parts pass the same barriers.  Where one has failed instead, the others leave here.
 */
#define ZS_BARRIER(args)                                                                    \
    do {                                                                                    \
        if ((args)->parts > 1 && (args)->meet(args) != ZS_OK)                               \
            return zs_fail(args, ZS_ESTOPPED, -1);                                          \
    } while (0)

/* ---- parts of a loop ---------------------------------------------------------------- */

/*
 * zs_cut() - where part 'part' of [lo, hi) begins: lo + n * part / parts, n = hi - lo.
 *
 * It ends where part + 1 begins, so that parts 0 to parts - 1 are all of it, each index once.
 * 'part' is in [0, parts]; 'parts' in [1, 2**31).  hi < lo is an empty range.  Does not overflow.
 */
ZS_APART int64_t zs_cut(int64_t part, int64_t parts, int64_t lo, int64_t hi)
{
    const int64_t n = hi - lo;
    if (n <= 0 || part == 0)
        return lo;
    if (parts == 1)
        return hi;
    return lo + n / parts * part + n % parts * part / parts;
}

/* ZS_SHARED() - the head of a loop over what part 'part' of 'parts' does of i in [lo, hi). */
#define ZS_SHARED(i, part, parts, lo, hi)                                                   \
    for (int64_t i = zs_cut(part, parts, lo, hi),                                           \
                 zs_end_##i = zs_cut((part) + 1, parts, lo, hi);                            \
         i < zs_end_##i; i++)

/*
 * zs_cut_by() - where part 'part' of [lo, hi) begins, cut by what the indices have to do.
 *
 * Index i has pos[i + 1] - pos[i] entries, and some work of its own that counts as one more; pos does
 * not decrease.  As zs_cut(), parts 0 to parts - 1 are all of it, each index once.
 */
ZS_APART int64_t zs_cut_by(const int64_t *pos, int64_t part, int64_t parts, int64_t lo, int64_t hi)
{
    if (hi <= lo)
        return lo;
    const int64_t first = pos[lo] + lo;
    const int64_t wanted = first + zs_cut(part, parts, 0, pos[hi] + hi - first);
    int64_t end = hi;
    while (lo < end) {
        const int64_t mid = lo + (end - lo) / 2;
        if (pos[mid] + mid < wanted)
            lo = mid + 1;
        else
            end = mid;
    }
    return lo;
}

/* ZS_SHARED_BY() - as ZS_SHARED(), cut by entries as zs_cut_by() cuts. */
#define ZS_SHARED_BY(pos, i, part, parts, lo, hi)                                           \
    for (int64_t i = zs_cut_by(pos, part, parts, lo, hi),                                   \
                 zs_end_##i = zs_cut_by(pos, (part) + 1, parts, lo, hi);                    \
         i < zs_end_##i; i++)

/*
 * zs_share - what a part does of a loop that is all the body of another: indices [lo, hi) of
 * this one and, of each, part 'part' of 'parts' of the inner one.
 */
typedef struct zs_share {
    int64_t lo, hi;
    int64_t part, parts;
} zs_share;

/*
 * zs_divide() - the share of part 'part' of 'parts' in [lo, hi): as zs_cut() where there is an
 * index for every part; else the parts that come to the same index share what is inside.
 *
 * Bounds as zs_cut(), 'part' < 'parts'.
 */
ZS_APART zs_share zs_divide(int64_t part, int64_t parts, int64_t lo, int64_t hi)
{
    const int64_t n = hi - lo;
    if (n <= 0 || n >= parts)
        return (zs_share){zs_cut(part, parts, lo, hi), zs_cut(part + 1, parts, lo, hi), 0, 1};
    const int64_t at = part * n / parts;
    const int64_t first = (at * parts + n - 1) / n, next = ((at + 1) * parts + n - 1) / n;
    return (zs_share){lo + at, lo + at + 1, part - first, next - first};
}

/* ---- whole numbers ------------------------------------------------------------------ */

ZS_INLINE int64_t zs_min(int64_t a, int64_t b) { return a < b ? a : b; }
ZS_INLINE int64_t zs_max(int64_t a, int64_t b) { return a > b ? a : b; }

/*
 * zs_floor_div() - a / b rounded towards minus infinity; 'b' is positive.
 *
 * C rounds towards zero: -1 / 2 is 0 there and -1 here.  Defined for every 'a'.
 */
ZS_INLINE int64_t zs_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* zs_floor_mod() - a - b * zs_floor_div(a, b), in [0, b); 'b' is positive. */
ZS_INLINE int64_t zs_floor_mod(int64_t a, int64_t b)
{
    const int64_t r = a % b;
    return r < 0 ? r + b : r;
}

/* zs_ceil_div() - a / b rounded towards plus infinity; 'b' is positive. */
ZS_INLINE int64_t zs_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b > 0);
}

/* zs_wide_NAME() - the same of 128 bits, for coordinates that were read and not yet looked at. */
ZS_INLINE __int128 zs_wide_min(__int128 a, __int128 b) { return a < b ? a : b; }
ZS_INLINE __int128 zs_wide_max(__int128 a, __int128 b) { return a > b ? a : b; }
ZS_INLINE __int128 zs_wide_floor_div(__int128 a, __int128 b) { return a / b - (a % b < 0); }
ZS_INLINE __int128 zs_wide_ceil_div(__int128 a, __int128 b) { return -zs_wide_floor_div(-a, b); }
ZS_INLINE __int128 zs_wide_floor_mod(__int128 a, __int128 b)
{
    return a - b * zs_wide_floor_div(a, b);
}

/* ---- sorted coordinates ------------------------------------------------------------- */

/*
 * zs_lower_bound_TYPE() - first position in [lo, hi) with crd[position] >= c, else 'hi'.
 * zs_locate_TYPE()      - the position in [lo, hi) with crd[position] == c, else -1.
 *
 * crd[lo .. hi) does not decrease; where 'c' repeats, the first of its positions is found.
 * 'c' may be any int64_t, out of TYPE's range included.  'lo' > 'hi' is an empty range.
 * Touches no element outside [lo, hi).  TYPE is the NumPy name of the coordinates' type.
 */
#define ZS_DEFINE_SEARCH(NAME, TYPE)                                                        \
    ZS_INLINE int64_t zs_lower_bound_##NAME(const TYPE *crd, int64_t lo, int64_t hi,        \
                                            int64_t c)                                      \
    {                                                                                       \
        while (lo < hi) {                                                                   \
            const int64_t mid = lo + (hi - lo) / 2;                                         \
            if ((int64_t)crd[mid] < c)                                                      \
                lo = mid + 1;                                                               \
            else                                                                            \
                hi = mid;                                                                   \
        }                                                                                   \
        return hi;                                                                          \
    }                                                                                       \
    ZS_INLINE int64_t zs_locate_##NAME(const TYPE *crd, int64_t lo, int64_t hi, int64_t c)  \
    {                                                                                       \
        const int64_t p = zs_lower_bound_##NAME(crd, lo, hi, c);                            \
        return p >= lo && p < hi && (int64_t)crd[p] == c ? p : -1;                          \
    }

ZS_DEFINE_SEARCH(uint16, uint16_t)
ZS_DEFINE_SEARCH(int32, int32_t)
ZS_DEFINE_SEARCH(int64, int64_t)
#undef ZS_DEFINE_SEARCH

/* ---- bitmasks ----------------------------------------------------------------------- */

/*
 * A fiber of extent n keeps zs_bit_words(n) words, coordinate c at bit c % 64 of word
 * c / 64; bits at or past n are 0.  'rank' has one number a word: the bits set in all words
 * of the level before it, so that it counts from the level's start and not the fiber's.
 * Below, 'words' and 'rank' point at the fiber's first word, and c is in [0, n).
 */

/* zs_bit_words() - words for one fiber of extent 'n' >= 0. */
ZS_INLINE int64_t zs_bit_words(int64_t n) { return n / 64 + (n % 64 > 0); }

/* zs_popcount() - bits set in 'word', 0 to 64. */
ZS_INLINE int64_t zs_popcount(uint64_t word) { return __builtin_popcountll(word); }

/* zs_ctz() - place of the lowest set bit, 0 to 63; 'word' is not 0. */
ZS_INLINE int64_t zs_ctz(uint64_t word) { return __builtin_ctzll(word); }

/* zs_drop_lowest() - 'word' without its lowest set bit; 0 stays 0. */
ZS_INLINE uint64_t zs_drop_lowest(uint64_t word) { return word & (word - 1); }

/* zs_bits_before() - bits of 'word' below the lowest set bit of 'bits', which is not 0. */
ZS_INLINE int64_t zs_bits_before(uint64_t word, uint64_t bits)
{
    return zs_popcount(word & ~bits & (bits - 1));
}

/* zs_bits_below() - a word whose bits [0, n) are set; 'n' is in [0, 64]. */
ZS_INLINE uint64_t zs_bits_below(int64_t n)
{
    return n >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
}

/* zs_bit_test() - 1 where coordinate 'c' is stored, else 0. */
ZS_INLINE int zs_bit_test(const uint64_t *words, int64_t c)
{
    return (int)(words[c / 64] >> (c % 64) & 1);
}

/* zs_bit_position() - how many stored coordinates of the level come before 'c'. */
ZS_INLINE int64_t zs_bit_position(const uint64_t *words, const int64_t *rank, int64_t c)
{
    return rank[c / 64] + zs_popcount(words[c / 64] & zs_bits_below(c % 64));
}

/* zs_bits_to() - the same, of a coordinate that is 0 or more. */
ZS_INLINE int64_t zs_bits_to(const uint64_t *words, const int64_t *rank, int64_t c)
{
    const uint64_t at = (uint64_t)c;
    return rank[at / 64] + zs_popcount(words[at / 64] & (((uint64_t)1 << at % 64) - 1));
}

/* What is met in so many words is listed, and has room in a list of ZS_MET. */
#define ZS_MET_WORDS 64
#define ZS_MET_LEAST 8    /* fewer are not counted, and not listed */
#define ZS_MET (64 * ZS_MET_WORDS + 2)

/*
 * zs_worth_listing() - whether 'n_bits' bits of 'n_words' words are listed before they are followed.
 *
 * Following them word by word takes a branch a word that is foreseen wrongly as often as words have
 * a bit and the next ones none: seldom where nearly all are empty.  Where words have many bits, it is
 * one branch for all of these.
 */
ZS_INLINE int zs_worth_listing(int64_t n_bits, int64_t n_words)
{
    return 8 * n_bits > n_words && n_bits <= 2 * n_words;
}

/*
 * zs_list_met() - write 'first' + the place of each bit of 'bits' from list[n] on; the end.
 *
 * Two are written whether they are there or not, so that no branch depends on it where words have
 * no more.  list[n + 1] is touched, and list[end + 1] is not.
 */
ZS_INLINE int64_t zs_list_met(uint16_t *list, int64_t n, uint64_t bits, int64_t first)
{
    const uint64_t last = (uint64_t)1 << 63;    /* zs_ctz() of 0 has no value */
    const int64_t end = n + zs_popcount(bits);
    list[n] = (uint16_t)(first + zs_ctz(bits | last));
    bits = zs_drop_lowest(bits);
    list[n + 1] = (uint16_t)(first + zs_ctz(bits | last));
    bits = zs_drop_lowest(bits);
    for (n += 2; bits != 0; bits = zs_drop_lowest(bits))
        list[n++] = (uint16_t)(first + zs_ctz(bits));
    return end;
}

/* zs_bit_locate() - position of coordinate 'c', or -1 where it is not stored. */
ZS_INLINE int64_t zs_bit_locate(const uint64_t *words, const int64_t *rank, int64_t c)
{
    return zs_bit_test(words, c) ? zs_bit_position(words, rank, c) : -1;
}

/* ---- structured groups -------------------------------------------------------------- */

/* zs_group_entries() - entries of a fiber of 'extent' >= 0 with 'most' of every 'size'. */
ZS_INLINE int64_t zs_group_entries(int64_t extent, int64_t most, int64_t size)
{
    return extent / size * most + zs_min(most, extent % size);
}

#endif /* ZS_KERNEL_H */
