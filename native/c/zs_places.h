/*
 * zs_places.h - places of entries, several of them in one load.
 */
#ifndef ZS_PLACES_H
#define ZS_PLACES_H

#include "zs_kernel.h"

/*
 * zs_word()  - the 8 bytes at 'from', which need not be aligned.
 * ZS_PLACE() - the i-th number of TYPE of such a word; TYPE is unsigned, or its numbers are.
 */
ZS_INLINE uint64_t zs_word(const void *from)
{
    uint64_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ZS_PLACE(TYPE, word, i) ((TYPE)((word) >> 8 * sizeof(TYPE) * (size_t)(i)))
#else
#define ZS_PLACE(TYPE, word, i) ((TYPE)((word) >> 8 * (8 - sizeof(TYPE) * ((size_t)(i) + 1))))
#endif

#endif /* ZS_PLACES_H */
