/*
 * zs_unroll.c - the entries of a matrix that stays, as machine code: an instruction for each.
 *
 * The entries come in groups of at most ZS_MEMBERS rows, whose sums are registers.  In a group they
 * lie by columns: a vector of the other operand is loaded once for all entries of its column, and
 * some columns before it is met, so that multiply-adds do not begin in vain where it comes late,
 *
 *     vmovups   zmm28, [x + offset]                the vector that the column meets
 *     ...                                          loads, and entries of columns before
 *     vfmadd231ps  zmm3, zmm28, [value]{1to16}     row 3 stores an entry there
 *     vfmadd231ps  zmm9, zmm28, [value + 4]{1to16} row 9 another
 *
 * where lanes that belong to another row are left out under a mask if the column is a shifted one,
 * so that no position is read, nothing is compared and nothing jumps.  Values stay data, in the
 * order of the instructions; in between, code and values of the next program are asked for.  A
 * program is some groups behind each other, called as a zs_program (zs_unrolled.h) by the rules of
 * the System V ABI of x86-64; it needs AVX-512F.
 *
 * Lanes that join several narrow integers (zs_joined.h) are multiplied by vpdpwssd or vpdpbusd, which
 * need AVX512_VNNI; entries that meet no column are added to their row themselves.
 * Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, section 2.7.
 */
#include "zs_kernel.h"
#include "zs_unrolled.h"

#if defined(__x86_64__) && defined(__unix__) && defined(__AVX512F__)
#define ZS_UNROLLS 1
int mprotect(void *, size_t, int);
#else
#define ZS_UNROLLS 0
#endif

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
} zs_code;

static void zs_byte(zs_code *code, int byte)
{
    if (code->length < code->room)
        code->bytes[code->length] = (uint8_t)byte;
    code->length++;
}

static void zs_bytes(zs_code *code, const char *bytes, int count)
{
    for (int i = 0; i < count; i++)
        zs_byte(code, bytes[i] & 255);
}

static void zs_long(zs_code *code, int64_t number)
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
static void zs_evex(zs_code *code, zs_form form, int reg, int other, int base, int64_t displacement)
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
static void zs_clear_row(zs_code *code, int row)
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
static void zs_load_row(zs_code *code, int row)
{
    zs_evex(code, (zs_form){1, code->wide, 0x10, 0, 1, 1}, row, 0, RAX, 0);
    zs_bytes(code, "\x48\x01\xC8", 3); /* add rax, rcx */
}

static void zs_store_row(zs_code *code, int row)
{
    zs_evex(code, (zs_form){1, code->wide, 0x11, 0, 1, 0}, row, 0, RAX, 0);
    zs_bytes(code, "\x48\x01\xC8", 3);
}

static void zs_add_to(zs_code *code, int base, int64_t number)
{
    zs_bytes(code, "\x48\x81", 2); /* add base, number */
    zs_byte(code, 0xC0 | base);
    zs_long(code, number);
}

/* Fetch, where it is time, a line of the next program's code, and so much of its values: these have
   about half as many bytes, or as many. */
static void zs_fetch_ahead(zs_code *code)
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

/* Of each entry its row in the group, the place of its vector, in items, or less than 0 where it has
   none, and its shift. */
typedef struct zs_entries {
    const uint8_t *member;
    const int32_t *offset;
    const uint8_t *shift;
} zs_entries;

/* Load the vector of entry e, and of those behind it at its place; returns the first that is not,
   or 'hi'. */
static int64_t zs_load_place(zs_code *code, zs_entries all, int64_t e, int64_t hi, int reg)
{
    const int32_t offset = all.offset[e];
    const int item = code->wide ? 8 : 4, shift = all.shift[e];
    const int64_t at = (int64_t)offset * item - REACH * VECTOR;
    if (shift > 0 && code->biased) /* vpblendmd: other lanes as in the register that holds biases */
        zs_evex(code, (zs_form){2, 1, 0x64, 0, MASK + shift, 0}, reg, LOADED, RDI, at);
    else
        zs_evex(code, (zs_form){1, code->wide, 0x10, 0, shift ? MASK + shift : 0, shift > 0}, reg,
                0, RDI, at);
    while (e < hi && all.offset[e] == offset)
        e++;
    return e;
}

/* The first register that is loaded, and the one after another. */
static int zs_first(const zs_code *code)
{
    return code->biased ? LOADED + 1 : LOADED;
}

static int zs_turn(const zs_code *code, int loaded)
{
    return loaded == LAST ? zs_first(code) : loaded + 1;
}

/* OPCODE zmm'row', zmm'other', [the next value]{to all lanes}; returns as zs_group() does. */
static int zs_take_value(zs_code *code, zs_form form, int row, int other, int ahead)
{
    const int item = code->wide ? 8 : 4;
    if (ahead == REACH) {
        zs_add_to(code, RSI, 2 * REACH * item);
        ahead = -REACH;
    }
    zs_evex(code, form, row, other, RSI, (int64_t)ahead * item);
    zs_fetch_ahead(code);
    return ahead + 1;
}

/* What multiplies a lane and adds it to a sum: vfmadd231ps or pd, vpdpwssd or vpdpbusd. */
static zs_form zs_multiplies(const zs_code *code)
{
    return (zs_form){2, 1, code->joined == 1 ? 0xB8 : code->joined == 2 ? 0x52 : 0x50, 1, 0, 0};
}

/* One group: entries [lo, hi), which add up in registers 0 to rows - 1; 'resumed' from what the rows
   hold.  'ahead' values are already behind the register that points at them; returns how many are
   then. */
static int zs_group(zs_code *code, zs_entries all, int64_t lo, int64_t hi, int64_t rows,
                    int resumed, int ahead)
{
    if (resumed)
        zs_bytes(code, "\x48\x89\xD0", 3); /* mov rax, rdx */
    for (int row = 0; row < rows; row++) {
        if (resumed)
            zs_load_row(code, row);
        else
            zs_clear_row(code, row);
    }
    for (; lo < hi && all.offset[lo] < 0; lo++) { /* vpaddd */
        const int row = all.member[lo];
        ahead = zs_take_value(code, (zs_form){1, 1, 0xFE, 1, 0, 0}, row, row, ahead);
    }
    int64_t next = lo;
    for (int reg = zs_first(code); reg <= LAST && next < hi; reg++)
        next = zs_load_place(code, all, next, hi, reg);
    int loaded = zs_first(code);
    for (int64_t e = lo; e < hi; e++) {
        if (e > lo && all.offset[e] != all.offset[e - 1]) {
            if (next < hi)
                next = zs_load_place(code, all, next, hi, loaded);
            loaded = zs_turn(code, loaded);
        }
        ahead = zs_take_value(code, zs_multiplies(code), all.member[e], loaded, ahead);
    }
    zs_bytes(code, "\x48\x89\xD0", 3);
    for (int row = 0; row < rows; row++)
        zs_store_row(code, row);
    zs_bytes(code, "\x48\x89\xC2", 3); /* mov rdx, rax: the rows of the next group */
    return ahead;
}

/*
 * zs_unroll() - the code of every program, one behind the other, each at a cache line's start.
 *
 * buf:  the code, of which 'room' bytes are written; where each program starts, and the end;
 *       where each group's entries start, and the end; of each entry its row in the group, the
 *       place of its vector, in items, and its shift, 1 to ZS_MASKS, or 0 for all lanes.
 * dim:  room; programs, of which 'turn' are a block of all rows; groups of a program; most rows of
 *       a group; rows of a block; bytes of an item, 4 or 8; how many shifts there are; integers
 *       that a lane of 4 bytes joins (zs_joined.h), or 1; what those are kept larger by.
 * A second call with the room that the first has asked for writes it all.
 */
int32_t zs_unroll(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
    int64_t *starts = args->buf[1];
    const int64_t *first = args->buf[2];
    const zs_entries all = {args->buf[3], args->buf[4], args->buf[5]};
    const int64_t programs = args->dim[1], turn = args->dim[2], groups = args->dim[3];
    const int64_t members = args->dim[4], rows = args->dim[5];
    const int shifts = (int)args->dim[7];
    zs_code code = {.bytes = args->buf[0], .room = args->dim[0], .wide = args->dim[6] == 8,
                    .joined = (int)args->dim[8], .biased = args->dim[9] != 0 && shifts > 0};
    const int64_t bias = args->dim[9] * 0x01010101; /* of four bytes */
    if (members > ZS_MEMBERS || shifts > ZS_MASKS)
        return zs_fail(args, ZS_EINTERNAL, members > ZS_MEMBERS ? members : shifts);
    for (int64_t program = 0; program < programs; program++) {
        ZS_POLL(args);
        starts[program] = code.begun = code.length;
        code.fetched = 0;
        zs_bytes(&code, "\xF3\x0F\x1E\xFA", 4);     /* endbr64: called through a pointer */
        zs_bytes(&code, "\xC4\xC1\x78\x92\xC8", 5); /* kmovw k1, r8d */
        for (int s = 0; s < shifts; s++) { /* kmovw k2 + s, [r9 + 2 * s] */
            zs_bytes(&code, "\xC4\xC1\x78\x90", 4);
            zs_byte(&code, 0x40 | (MASK + 1 + s) << 3 | 1);
            zs_byte(&code, 2 * s);
        }
        if (code.biased) {
            zs_byte(&code, 0xB8); /* mov eax, the bias of each byte */
            zs_long(&code, bias);
            zs_bytes(&code, "\x62\x62\x7D\x48\x7C\xE0", 6); /* vpbroadcastd zmm28, eax */
        }
        zs_bytes(&code, "\x4C\x8B\x44\x24\x08", 5); /* mov r8, [rsp + 8] */
        zs_bytes(&code, "\x4C\x8B\x4C\x24\x10", 5); /* mov r9, [rsp + 16] */
        zs_add_to(&code, RSI, REACH * (code.wide ? 8 : 4));
        zs_add_to(&code, RDI, REACH * VECTOR);
        int ahead = -REACH;
        for (int64_t g = 0; g < groups; g++) {
            const int64_t group = program * groups + g;
            const int64_t left = rows - (program % turn * groups + g) * members;
            if (left > 0)
                ahead = zs_group(&code, all, first[group], first[group + 1],
                                 left < members ? left : members, program >= turn, ahead);
        }
        zs_bytes(&code, "\xC5\xF8\x77\xC3", 4); /* vzeroupper, ret */
        while (code.length % VECTOR != 0)
            zs_byte(&code, 0xCC);
    }
    starts[programs] = code.length;
    return ZS_OK;
}

/*
 * zs_seal() - let 'dim' bytes of code be run, and no longer be written.
 *
 * buf:  the code, at a page's start; a number that becomes 1 where that was done, and stays where
 *       this processor cannot run it or the system does not allow it.
 */
int32_t zs_seal(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK)
        return args->error;
#if ZS_UNROLLS
    int64_t *done = args->buf[1];
    if (mprotect(args->buf[0], (size_t)args->dim[0], 1 | 4) == 0) /* PROT_READ | PROT_EXEC */
        *done = 1;
#endif
    return ZS_OK;
}
