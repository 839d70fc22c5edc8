/*
 * zs_packs_avx2.h - what AVX2 and BMI2 have for the words of zs_packs.h, which includes this.
 */
#ifndef ZS_PACKS_AVX2_H
#define ZS_PACKS_AVX2_H

typedef char zs_v1 __attribute__((vector_size(32)));
typedef int16_t zs_v2 __attribute__((vector_size(32)));
typedef int32_t zs_v4 __attribute__((vector_size(32)));
typedef long long zs_v8 __attribute__((vector_size(32)));
typedef float zs_f4 __attribute__((vector_size(32)));
typedef double zs_f8 __attribute__((vector_size(32)));
typedef int8_t zs_octet __attribute__((vector_size(8)));
typedef int16_t zs_shorts __attribute__((vector_size(16)));

#define ZS_BITS_1(v) ((uint32_t)__builtin_ia32_pmovmskb256(v))
#define ZS_BITS_2(v) \
    ((uint32_t)__builtin_ia32_pext_si((uint32_t)__builtin_ia32_pmovmskb256((zs_v1)(v)), 0x55555555u))
#define ZS_BITS_4(v) ((uint32_t)__builtin_ia32_movmskps256((zs_f4)(v)))
#define ZS_BITS_8(v) ((uint32_t)__builtin_ia32_movmskpd256((zs_f8)(v)))
#define ZS_DEFINE_MASK_AVX2(WIDTH, LANE)                                                    \
    ZS_FOLDED uint64_t zs_mask_##WIDTH(const void *from, uint64_t care, uint64_t fill)      \
    {                                                                                       \
        uint64_t word = 0;                                                                  \
        for (int i = 0; i < 2 * WIDTH; i++) {                                               \
            zs_v##WIDTH v;                                                                  \
            __builtin_memcpy(&v, (const char *)from + 32 * i, 32);                          \
            v = (zs_v##WIDTH)((v & (LANE)care) != (LANE)fill);                              \
            word |= (uint64_t)ZS_BITS_##WIDTH(v) << (32 / WIDTH * i);                       \
        }                                                                                   \
        return word;                                                                        \
    }
ZS_DEFINE_MASK_AVX2(1, char)
ZS_DEFINE_MASK_AVX2(2, int16_t)
ZS_DEFINE_MASK_AVX2(4, int32_t)
ZS_DEFINE_MASK_AVX2(8, long long)

/* zs_octet_bytes() - for each bit of an octet a byte of 255 or 0. */
ZS_FOLDED uint64_t zs_octet_bytes(unsigned octet)
{
    return __builtin_ia32_pdep_di(octet, 0x0101010101010101) * 255;
}

/* zs_octet_places() - the numbers of the bits that are set, one a byte, from the lowest on; then 0. */
ZS_FOLDED zs_octet zs_octet_places(unsigned octet)
{
    return (zs_octet)__builtin_ia32_pext_di(0x0706050403020100, zs_octet_bytes(octet));
}

ZS_FOLDED void zs_pack_4(void *to, const void *from, uint64_t word)
{
    char *out = to;
    for (int i = 0; i < ZS_WORD; i += 8) {
        const unsigned octet = word >> i & 255;
        const zs_v4 places = __builtin_convertvector(zs_octet_places(octet), zs_v4);
        zs_v4 items;
        __builtin_memcpy(&items, (const char *)from + 4 * i, 32);
        items = (zs_v4)__builtin_ia32_permvarsi256(items, places);
        __builtin_memcpy(out, &items, 32);
        out += 4 * __builtin_popcount(octet);
    }
}

ZS_FOLDED void zs_list_2(void *to, int64_t first, uint64_t word)
{
    char *out = to;
    for (int i = 0; i < ZS_WORD; i += 8) {
        const unsigned octet = word >> i & 255;
        const zs_shorts made =
            __builtin_convertvector(zs_octet_places(octet), zs_shorts) + (int16_t)(first + i);
        __builtin_memcpy(out, &made, 16);
        out += 2 * __builtin_popcount(octet);
    }
}

ZS_FOLDED void zs_list_4(void *to, int64_t first, uint64_t word)
{
    char *out = to;
    for (int i = 0; i < ZS_WORD; i += 8) {
        const unsigned octet = word >> i & 255;
        const zs_v4 made =
            __builtin_convertvector(zs_octet_places(octet), zs_v4) + (int32_t)(first + i);
        __builtin_memcpy(out, &made, 32);
        out += 4 * __builtin_popcount(octet);
    }
}

/* Octet by octet while eight items are left to read; no more is read than bits are set. */
ZS_FOLDED void zs_spread_4(void *to, const void *from, uint64_t word, uint64_t fill)
{
    const int64_t count = __builtin_popcountll(word);
    int64_t p = 0;
    int i = 0;
    for (; i < ZS_WORD && p + 8 <= count; i += 8) {
        const unsigned octet = word >> i & 255;
        const uint64_t bytes = zs_octet_bytes(octet);
        const zs_octet turns = (zs_octet)__builtin_ia32_pdep_di(0x0706050403020100, bytes);
        const zs_v4 keep = __builtin_convertvector((zs_octet)bytes, zs_v4);
        zs_v4 items;
        __builtin_memcpy(&items, (const char *)from + 4 * p, 32);
        items = (zs_v4)__builtin_ia32_permvarsi256(items, __builtin_convertvector(turns, zs_v4));
        items = (items & keep) | (~keep & (int32_t)fill);
        __builtin_memcpy((char *)to + 4 * i, &items, 32);
        p += __builtin_popcount(octet);
    }
    if (i < ZS_WORD)
        zs_spread_word((char *)to + 4 * i, (const char *)from + 4 * p, 4, ZS_WORD - i, word >> i,
                       fill);
}

ZS_DEFINE_PACK(1)
ZS_DEFINE_PACK(2)
ZS_DEFINE_PACK(8)
ZS_DEFINE_LIST(8)
ZS_DEFINE_SPREAD(1)
ZS_DEFINE_SPREAD(2)
ZS_DEFINE_SPREAD(8)

#endif /* ZS_PACKS_AVX2_H */
