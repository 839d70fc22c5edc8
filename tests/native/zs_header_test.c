/*
 * Exercises every helper of zs_kernel.h at its edges; built with ASan and UBSan.
 *
 * Each array is malloc'ed to its exact size, so that a read outside it is caught.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zs_places.h"

static int failures = 0;

#define CHECK(got, expected)                                                                \
    do {                                                                                    \
        const int64_t got_ = (int64_t)(got), expected_ = (int64_t)(expected);               \
        if (got_ != expected_) {                                                            \
            printf("line %d: %s is %" PRId64 ", not %" PRId64 "\n", __LINE__, #got, got_,   \
                   expected_);                                                              \
            failures++;                                                                     \
        }                                                                                   \
    } while (0)

static void *exact(const void *data, size_t n_bytes)
{
    void *copy = malloc(n_bytes ? n_bytes : 1);
    if (copy == NULL)
        abort();
    if (n_bytes)
        memcpy(copy, data, n_bytes);
    return copy;
}

static void test_whole_numbers(void)
{
    const int64_t ends[] = {INT64_MIN, INT64_MIN + 1, -65, -64, -3, -1, 0, 1, 3, 64, INT64_MAX};
    const int64_t divisors[] = {1, 2, 3, 64, INT64_MAX};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        for (size_t j = 0; j < sizeof divisors / sizeof *divisors; j++) {
            const __int128 a = ends[i], b = divisors[j];
            const int64_t floor = zs_floor_div(ends[i], divisors[j]);
            const int64_t ceil = zs_ceil_div(ends[i], divisors[j]);
            const int64_t mod = zs_floor_mod(ends[i], divisors[j]);
            CHECK(floor * b <= a && a < (floor + (__int128)1) * b, 1);
            CHECK(ceil * b >= a && a > (ceil - (__int128)1) * b, 1);
            CHECK(floor * b + mod == a, 1);
            CHECK(mod >= 0 && mod < divisors[j], 1);
            CHECK(zs_wide_floor_div(a, b) == floor, 1);
            CHECK(zs_wide_ceil_div(a, b) == ceil, 1);
            CHECK(zs_wide_floor_mod(a, b) == mod, 1);
            CHECK(zs_wide_floor_div(8 * a + 1, 4 * b) == zs_wide_floor_div(2 * a, b), 1);
            CHECK(zs_wide_min(4 * a, b) == (4 * a < b ? 4 * a : b), 1);
            CHECK(zs_wide_max(4 * a, b) == (4 * a > b ? 4 * a : b), 1);
        }
    CHECK(zs_min(INT64_MIN, INT64_MAX), INT64_MIN);
    CHECK(zs_min(3, 3), 3);
    CHECK(zs_max(INT64_MIN, INT64_MAX), INT64_MAX);
    CHECK(zs_max(-1, -2), -1);
}

#define TEST_SEARCH(NAME, TYPE, TOP)                                                        \
    static void test_search_##NAME(void)                                                    \
    {                                                                                       \
        const TYPE some[] = {0, 3, 3, 7, TOP};                                              \
        TYPE *crd = exact(some, sizeof some), *none = exact(some, 0);                       \
        CHECK(zs_locate_##NAME(crd, 0, 5, 0), 0);                                           \
        CHECK(zs_locate_##NAME(crd, 0, 5, 3), 1);                                           \
        CHECK(zs_locate_##NAME(crd, 2, 5, 3), 2);                                           \
        CHECK(zs_locate_##NAME(crd, 0, 5, 7), 3);                                           \
        CHECK(zs_locate_##NAME(crd, 0, 3, 7), -1);                                          \
        CHECK(zs_locate_##NAME(crd, 0, 5, 5), -1);                                          \
        CHECK(zs_locate_##NAME(crd, 0, 5, TOP), 4);                                         \
        CHECK(zs_locate_##NAME(crd, 0, 5, -1), -1);                                         \
        CHECK(zs_locate_##NAME(crd, 0, 4, INT64_MAX), -1);                                  \
        CHECK(zs_locate_##NAME(crd, 0, 5, INT64_MIN), -1);                                  \
        CHECK(zs_locate_##NAME(crd, 3, 3, 7), -1);                                          \
        CHECK(zs_locate_##NAME(crd, 4, 3, 7), -1);                                          \
        CHECK(zs_locate_##NAME(none, 0, 0, 0), -1);                                         \
        CHECK(zs_lower_bound_##NAME(crd, 0, 5, INT64_MIN), 0);                              \
        CHECK(zs_lower_bound_##NAME(crd, 0, 5, 4), 3);                                      \
        CHECK(zs_lower_bound_##NAME(crd, 1, 4, 0), 1);                                      \
        CHECK(zs_lower_bound_##NAME(crd, 0, 4, 8), 4);                                      \
        CHECK(zs_lower_bound_##NAME(none, 0, 0, 0), 0);                                     \
        free(crd);                                                                          \
        free(none);                                                                         \
    }

TEST_SEARCH(uint16, uint16_t, UINT16_MAX)
TEST_SEARCH(int32, int32_t, INT32_MAX)
TEST_SEARCH(int64, int64_t, INT64_MAX)

static void test_words(void)
{
    CHECK(zs_group_entries(0, 2, 4), 0);
    CHECK(zs_group_entries(9, 2, 4), 5);
    CHECK(zs_group_entries(11, 2, 4), 6);
    CHECK(zs_bit_words(0), 0);
    CHECK(zs_bit_words(1), 1);
    CHECK(zs_bit_words(64), 1);
    CHECK(zs_bit_words(65), 2);
    CHECK(zs_bit_words(INT64_MAX), (int64_t)1 << 57);
    CHECK(zs_popcount(0), 0);
    CHECK(zs_popcount(UINT64_MAX), 64);
    CHECK(zs_ctz(1), 0);
    CHECK(zs_ctz((uint64_t)1 << 63), 63);
    CHECK(zs_drop_lowest(0) == 0, 1);
    CHECK(zs_drop_lowest(12) == 8, 1);
    CHECK(zs_bits_below(0) == 0, 1);
    CHECK(zs_bits_below(1) == 1, 1);
    CHECK(zs_bits_below(63) == UINT64_MAX >> 1, 1);
    CHECK(zs_bits_below(64) == UINT64_MAX, 1);
}

/* Bit masks of every extent around the ends of words, against a count one by one. */
static void test_masks(void)
{
    for (int64_t n = 0; n <= 130; n++) {
        const int64_t n_words = zs_bit_words(n);
        uint64_t *words = exact(NULL, 0);
        int64_t *rank = exact(NULL, 0);
        words = realloc(words, n_words ? (size_t)n_words * 8 : 1);
        rank = realloc(rank, n_words ? (size_t)n_words * 8 : 1);
        if (words == NULL || rank == NULL)
            abort();
        if (n_words)
            memset(words, 0, (size_t)n_words * 8);
        for (int64_t c = 0; c < n; c++)
            if (c % 3 == 0 || c == n - 1 || c % 64 == 63)
                words[c / 64] |= (uint64_t)1 << (c % 64);
        const int64_t before = 1000; /* stored in earlier fibers of the level */
        int64_t stored = before;
        for (int64_t w = 0; w < n_words; w++) {
            rank[w] = stored;
            stored += zs_popcount(words[w]);
        }
        stored = before;
        for (int64_t c = 0; c < n; c++) {
            const int is = c % 3 == 0 || c == n - 1 || c % 64 == 63;
            CHECK(zs_bit_test(words, c), is);
            CHECK(zs_bit_position(words, rank, c), stored);
            CHECK(zs_bit_locate(words, rank, c), is ? stored : -1);
            const uint64_t from_c = ~(uint64_t)0 << (c % 64);
            CHECK(rank[c / 64] + zs_bits_before(words[c / 64], from_c), stored);
            CHECK(zs_bits_to(words, rank, c), stored);
            stored += is;
        }
        free(words);
        free(rank);
    }
}

static void test_lists_of_bits(void)
{
    const uint64_t some[] = {0, 1, (uint64_t)1 << 63, (uint64_t)1 << 63 | 1, 0x8421, ~(uint64_t)0};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        uint16_t list[3 + 64 + 2];
        const int64_t end = zs_list_met(list, 3, some[i], 640);
        CHECK(end, 3 + zs_popcount(some[i]));
        int64_t at = 3;
        for (int64_t c = 0; c < 64; c++)
            if (some[i] >> c & 1)
                CHECK(list[at++], 640 + c);
        CHECK(at, end);
    }
    CHECK(zs_worth_listing(8, 64), 0);
    CHECK(zs_worth_listing(9, 64), 1);
    CHECK(zs_worth_listing(128, 64), 1);
    CHECK(zs_worth_listing(129, 64), 0);
}

static int32_t polled(zs_args *args)
{
    ZS_POLL(args);
    return ZS_OK;
}

static void test_arguments(void)
{
    zs_args args = {.version = ZS_ARGS_VERSION, .where = -1};
    CHECK(zs_check_version(&args), ZS_OK);
    CHECK(args.error, 0);
    CHECK(args.where, -1);
    args.version = ZS_ARGS_VERSION + 1;
    CHECK(zs_check_version(&args), ZS_EVERSION);
    CHECK(args.error, ZS_EVERSION);
    CHECK(args.where, ZS_ARGS_VERSION + 1);
    CHECK(zs_fail(&args, ZS_ERANGE, INT64_MAX), ZS_ERANGE);
    CHECK(args.error, ZS_ERANGE);
    CHECK(args.where, INT64_MAX);
    CHECK(polled(&args), ZS_OK);
    zs_args part = {.version = ZS_ARGS_VERSION, .part = 1, .parts = 2, .lead = &args};
    CHECK(zs_check_version(&part), ZS_OK);
    CHECK(part.part, 1);
    CHECK(polled(&part), ZS_OK);
    args.stop = 1;
    CHECK(polled(&part), ZS_ESTOPPED);
    CHECK(polled(&args), ZS_ESTOPPED);
    CHECK(args.error, ZS_ESTOPPED);
}

/* Every index belongs to one part, in order, also where loops in each other share. */
static void test_parts_by_entries(void)
{
    const int64_t pos[] = {5, 5, 5, 105, 106, 106, 109, 109}; /* 7 indices from 0 on */
    for (int64_t parts = 1; parts <= 9; parts++) {
        for (int64_t lo = 0; lo <= 7; lo++) {
            for (int64_t hi = lo - 1; hi <= 7; hi++) {
                int64_t next = lo;
                for (int64_t part = 0; part < parts; part++)
                    ZS_SHARED_BY(pos, i, part, parts, lo, hi)
                        CHECK(i, next++);
                CHECK(next, hi < lo ? lo : hi);
            }
        }
    }
    CHECK(zs_cut_by(pos, 1, 2, 0, 7), 3); /* the long index alone is half and more */
    CHECK(zs_cut_by(pos, 1, 2, 3, 7), 6);
}

static void test_parts(void)
{
    for (int64_t parts = 1; parts <= 9; parts++) {
        for (int64_t n = -2; n <= 12; n++) {
            int64_t next = 3;
            for (int64_t part = 0; part < parts; part++)
                ZS_SHARED(i, part, parts, 3, 3 + n)
                    CHECK(i, next++);
            CHECK(next, n < 0 ? 3 : 3 + n);
            CHECK(zs_cut(0, parts, 3, 3 + n), 3);
            int32_t visits[12][5] = {{0}};
            for (int64_t part = 0; part < parts; part++) {
                const zs_share share = zs_divide(part, parts, 0, n);
                for (int64_t i = share.lo; i < share.hi; i++)
                    ZS_SHARED(j, share.part, share.parts, 0, 5)
                        visits[i][j]++;
            }
            for (int64_t i = 0; i < 12; i++)
                for (int64_t j = 0; j < 5; j++)
                    CHECK(visits[i][j], i < n);
        }
    }
    CHECK(zs_cut(1, 2, 0, INT64_MAX), INT64_MAX / 2);
    CHECK(zs_cut(1023, 1024, 0, INT64_MAX), INT64_MAX / 1024 * 1023 + 1022);
}

static int32_t met(zs_args *args) { return (int32_t)args->where; }

static int32_t meeting(zs_args *args)
{
    ZS_BARRIER(args);
    return ZS_OK;
}

static void test_barrier(void)
{
    zs_args args = {.version = ZS_ARGS_VERSION, .parts = 1, .meet = met, .where = 1};
    CHECK(meeting(&args), ZS_OK);
    args.parts = 2;
    CHECK(meeting(&args), ZS_ESTOPPED);
    args.where = ZS_OK;
    CHECK(meeting(&args), ZS_OK);
}

static void test_bring(void)
{
    const int64_t one = 7;
    int64_t *at = exact(&one, sizeof one);
    zs_bring(at, 0);
    zs_bring(at, 1 << 16);  /* far past the end, which is not read */
    CHECK(*at, 7);
    free(at);
}

static void test_places(void)
{
    const uint16_t few[] = {9, 1, 0, 65535, 300};
    const uint16_t *at = exact(few, sizeof few);
    const uint64_t word = zs_word(at + 1);  /* begins between two words, ends with the last place */
    for (int i = 0; i < 4; i++)
        CHECK(ZS_PLACE(uint16_t, word, i), few[i + 1]);
    free((void *)at);
    const int32_t two[] = {INT32_MAX, 5};
    CHECK(ZS_PLACE(int32_t, zs_word(two), 0), INT32_MAX);
    CHECK(ZS_PLACE(int32_t, zs_word(two), 1), 5);
    const int64_t one = INT64_MAX - 1;
    CHECK(ZS_PLACE(int64_t, zs_word(&one), 0), one);
}

int main(void)
{
    test_parts();
    test_parts_by_entries();
    test_barrier();
    test_whole_numbers();
    test_search_uint16();
    test_search_int32();
    test_search_int64();
    test_words();
    test_masks();
    test_lists_of_bits();
    test_arguments();
    test_bring();
    test_places();
    if (failures == 0)
        puts("good");
    return failures != 0;
}
