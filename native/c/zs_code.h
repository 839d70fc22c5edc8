/*
 * zs_code.h - the instructions of zs_unroll.c, byte by byte.
 *
 * Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, section 2.7.
 */
#ifndef ZS_CODE_H
#define ZS_CODE_H

#include "zs_kernel.h"
#include "zs_unrolled.h"

enum {
    RAX = 0, RCX = 1, RDX = 2, RSI = 6, RDI = 7, /* base registers that need no further byte */
    VECTOR = 64,   /* bytes of a vector */
    LINE = 64,     /* bytes of a line of a cache */
    REACH = 128,   /* displacements of one byte reach from -REACH to REACH - 1 units */
    LOADED = 28,   /* registers 28 to 31 take turns to hold what is loaded, ... */
    LAST = 31,     /* ... so that a vector is asked for three places before it is met */
    MASK = 1,      /* mask 1 is that of rows; shifts are counted from there */
};

/* Where code goes; bytes from 'room' on are counted and not written. */
typedef struct zs_code {
    uint8_t *bytes;
    int64_t length, room;
    int wide;               /* items of 8 bytes, not 4 */
    int joined, biased;     /* integers of a lane; whether register LOADED holds their bias */
    int64_t begun, fetched; /* where the program starts; lines of the next code it has fetched */
    int64_t residue;        /* items by which offset 0 lies behind the start of a line; -1: unknown */
} zs_code;

ZS_INLINE void zs_byte(zs_code *code, int byte)
{
    if (code->length < code->room)
        code->bytes[code->length] = (uint8_t)byte;
    code->length++;
}

ZS_INLINE void zs_bytes(zs_code *code, const char *bytes, int count)
{
    for (int i = 0; i < count; i++)
        zs_byte(code, bytes[i] & 255);
}

ZS_INLINE void zs_long(zs_code *code, int64_t number)
{
    for (int i = 0; i < 4; i++)
        zs_byte(code, (int)(number >> 8 * i & 255));
}

/* What an instruction of one memory operand has beyond its registers. */
typedef struct zs_form {
    int map, prefix, opcode; /* 1: 0F, 2: 0F38; 0: none, 1: 66 */
    int broadcast, mask, zeroing;
} zs_form;

/*
 * zs_evex() - OPCODE zmm'reg', zmm'other', [base + displacement], in 512 bits.
 *
 * The displacement takes one byte where it is a small multiple of what is read, else four.
 */
ZS_INLINE void zs_evex(zs_code *code, zs_form form, int reg, int other, int base, int64_t displacement)
{
    const int unit = form.broadcast ? (code->wide ? 8 : 4) : VECTOR;
    zs_byte(code, 0x62);
    zs_byte(code, (~reg >> 3 & 1) << 7 | 0x60 | (~reg >> 4 & 1) << 4 | form.map);
    zs_byte(code, code->wide << 7 | (~other & 15) << 3 | 4 | form.prefix);
    zs_byte(code, form.zeroing << 7 | 2 << 5 | form.broadcast << 4 | (~other >> 4 & 1) << 3
                      | form.mask);
    zs_byte(code, form.opcode);
    const int64_t units = displacement / unit;
    if (displacement % unit == 0 && -REACH <= units && units < REACH) {
        zs_byte(code, 0x40 | (reg & 7) << 3 | base);
        zs_byte(code, (int)(units & 255));
    } else {
        zs_byte(code, 0x80 | (reg & 7) << 3 | base);
        zs_long(code, displacement);
    }
}

/* zmm'row' = 0: by itself, which takes no more than to be decoded. */
ZS_INLINE void zs_clear_row(zs_code *code, int row)
{
    zs_byte(code, 0x62); /* vpxord zmm, zmm, zmm */
    zs_byte(code, (~row >> 3 & 1) << 7 | (~row >> 4 & 1) << 6 | (~row >> 3 & 1) << 5
                      | (~row >> 4 & 1) << 4 | 1);
    zs_byte(code, (~row & 15) << 3 | 4 | 1);
    zs_byte(code, 2 << 5 | (~row >> 4 & 1) << 3);
    zs_byte(code, 0xEF);
    zs_byte(code, 0xC0 | (row & 7) << 3 | (row & 7));
}

/* mask 1: lanes that are stored. */
ZS_INLINE void zs_load_row(zs_code *code, int row)
{
    zs_evex(code, (zs_form){1, code->wide, 0x10, 0, 1, 1}, row, 0, RAX, 0);
    zs_bytes(code, "\x48\x01\xC8", 3); /* add rax, rcx */
}

ZS_INLINE void zs_store_row(zs_code *code, int row)
{
    zs_evex(code, (zs_form){1, code->wide, 0x11, 0, 1, 0}, row, 0, RAX, 0);
    zs_bytes(code, "\x48\x01\xC8", 3);
}

ZS_INLINE void zs_add_to(zs_code *code, int base, int64_t number)
{
    zs_bytes(code, "\x48\x81", 2); /* add base, number */
    zs_byte(code, 0xC0 | base);
    zs_long(code, number);
}

/* zmm'reg' = lanes from 'within' on of what zmm'low' and zmm'high' hold, one behind the other. */
ZS_INLINE void zs_put_together(zs_code *code, int reg, int high, int low, int64_t within, int shift)
{
    zs_byte(code, 0x62); /* valignd or valignq */
    zs_byte(code, (~reg >> 3 & 1) << 7 | (~low >> 4 & 1) << 6 | (~low >> 3 & 1) << 5
                      | (~reg >> 4 & 1) << 4 | 3);
    zs_byte(code, code->wide << 7 | (~high & 15) << 3 | 4 | 1);
    zs_byte(code, (shift > 0) << 7 | 2 << 5 | (~high >> 4 & 1) << 3 | (shift ? MASK + shift : 0));
    zs_byte(code, 0x03);
    zs_byte(code, 0xC0 | (reg & 7) << 3 | (low & 7));
    zs_byte(code, (int)within);
}

/* Fetch, where it is time, a line of the next program's code, and so much of its values: these have
   about half as many bytes, or as many. */
ZS_INLINE void zs_fetch_ahead(zs_code *code)
{
    const int64_t line = code->fetched;
    if (code->length - code->begun < (line + 1) * ZS_CODE_AHEAD)
        return;
    zs_bytes(code, "\x41\x0F\x18\x90", 4); /* prefetcht1 [r8 + number] */
    zs_long(code, line * LINE);
    if (code->wide || line % 2 == 0) {
        zs_bytes(code, "\x41\x0F\x18\x91", 4); /* prefetcht1 [r9 + number] */
        zs_long(code, (code->wide ? line : line / 2) * LINE);
    }
    code->fetched++;
}

#endif
