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
 * where lanes that belong to another row are left out under a mask if the column is a shifted one.
 * A vector that lies in two lines of a cache is two loads.  Where it is known how vectors lie,
 * columns that share such lines load each of them once, and what they meet is put together of two,
 *
 *     vmovups   zmm29, [x + line]                  what the column meets begins in this line
 *     vmovups   zmm30, [x + line + 64]             and ends in this one
 *     valignd   zmm28, zmm30, zmm29, 7             from item 7 of the first on
 *
 * which is one of the two places where multiply-adds begin, for one or two of two where loads do.
 * So no position is read, nothing is compared and nothing jumps.  Values stay data, in the
 * order of the instructions; in between, code and values of the next program are asked for.  A
 * program is some groups behind each other, called as a zs_program (zs_unrolled.h) by the rules of
 * the System V ABI of x86-64; it needs AVX-512F.
 *
 * Lanes that join several narrow integers (zs_joined.h) are multiplied by vpdpwssd or vpdpbusd, which
 * need AVX512_VNNI; entries that meet no column are added to their row themselves.
 */
#include "zs_code.h"

#if defined(__x86_64__) && defined(__unix__) && defined(__AVX512F__)
#define ZS_UNROLLS 1
int mprotect(void *, size_t, int);
#else
#define ZS_UNROLLS 0
#endif

/* Of each entry its row in the group, the place of its vector, in items, or less than 0 where it has
   none, and its shift. */
typedef struct zs_entries {
    const uint8_t *member;
    const int32_t *offset;
    const uint8_t *shift;
} zs_entries;

/* Columns behind each other whose vectors lie in lines of a cache that follow each other without a
   gap.  What is loaded is numbered: of 'shared' ones line 'line', in items, and those behind it,
   from number 'load' on; else the columns' vectors as they lie. */
typedef struct zs_run {
    int64_t end, line, load, loads; /* the entry behind it; what is loaded */
    int shared;
} zs_run;

static int64_t zs_next_place(zs_entries all, int64_t e, int64_t hi)
{
    const int32_t offset = all.offset[e];
    while (e < hi && all.offset[e] == offset)
        e++;
    return e;
}

/* Items of a place behind the start of the line that it begins in. */
static int64_t zs_within(const zs_code *code, int64_t offset)
{
    return (offset + code->residue) % (code->wide ? 8 : 16);
}

/* The columns from entry e on.  Their lines are worth sharing where they are fewer than the loads of
   vectors of which some lie in two. */
static zs_run zs_run_at(const zs_code *code, zs_entries all, int64_t e, int64_t hi, int64_t load)
{
    const int64_t lanes = code->wide ? 8 : 16;
    if (code->residue < 0 || code->biased)
        return (zs_run){zs_next_place(all, e, hi), 0, load, 1, 0};
    const int64_t line = all.offset[e] - zs_within(code, all.offset[e]);
    int64_t last = line - lanes, places = 0, apart = 0, at = e;
    while (at < hi) {
        const int64_t within = zs_within(code, all.offset[at]), first = all.offset[at] - within;
        if (places > 0 && first > last)
            break;
        last = within > 0 ? first + lanes : first > last ? first : last;
        apart += within > 0 ? 2 : 1;
        places++;
        at = zs_next_place(all, at, hi);
    }
    const int64_t lines = (last - line) / lanes + 1;
    const int shared = lines < apart;
    return (zs_run){at, line, load, shared ? lines : places, shared};
}

/* Load the vector of entry e as it lies. */
static void zs_load_place(zs_code *code, zs_entries all, int64_t e, int reg)
{
    const int item = code->wide ? 8 : 4, shift = all.shift[e];
    const int64_t at = (int64_t)all.offset[e] * item - REACH * VECTOR;
    if (shift > 0 && code->biased) /* vpblendmd: other lanes as in the register that holds biases */
        zs_evex(code, (zs_form){2, 1, 0x64, 0, MASK + shift, 0}, reg, LOADED, RDI, at);
    else
        zs_evex(code, (zs_form){1, code->wide, 0x10, 0, shift ? MASK + shift : 0, shift > 0}, reg,
                0, RDI, at);
}

/* What a group loads, in its order: those that are 'loaded', from 'run' on, whose next vector, if
   lines are not shared, is that of entry e; in registers 'first' to LAST, which take turns. */
typedef struct zs_loads {
    zs_run run;
    int64_t e, loaded;
    int first;
} zs_loads;

static int zs_holds(const zs_loads *loads, int64_t load)
{
    return loads->first + (int)(load % (LAST + 1 - loads->first));
}

/* Load all that there is room for where those before 'from' are no longer wanted. */
static void zs_load_until(zs_code *code, zs_entries all, zs_loads *loads, int64_t from, int64_t hi)
{
    zs_run *run = &loads->run;
    while (loads->loaded < from + LAST + 1 - loads->first) {
        if (loads->loaded == run->load + run->loads) {
            if (run->end == hi)
                return;
            loads->e = run->end;
            *run = zs_run_at(code, all, run->end, hi, loads->loaded);
        }
        const int reg = zs_holds(loads, loads->loaded);
        if (run->shared) {
            const int64_t first = run->line * (code->wide ? 8 : 4) - REACH * VECTOR;
            zs_evex(code, (zs_form){1, code->wide, 0x10, 0, 0, 0}, reg, 0, RDI,
                    first + (loads->loaded - run->load) * LINE);
        } else {
            zs_load_place(code, all, loads->e, reg);
            loads->e = zs_next_place(all, loads->e, run->end);
        }
        loads->loaded++;
    }
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
    int shares = 0;
    for (int64_t e = lo; e < hi && !shares;) {
        const zs_run run = zs_run_at(code, all, e, hi, 0);
        shares = run.shared;
        e = run.end;
    }
    zs_loads loads = {{lo, 0, 0, 0, 0}, lo, 0, code->biased || shares ? LOADED + 1 : LOADED};
    zs_run run = loads.run;
    int64_t load = 0; /* the first that the place of an entry meets, of those that are numbered */
    for (int64_t e = lo; e < hi;) {
        if (e == run.end) {
            run = zs_run_at(code, all, e, hi, run.load + run.loads);
            load = run.load;
        }
        const int64_t lanes = code->wide ? 8 : 16, end = zs_next_place(all, e, hi);
        const int64_t within = run.shared ? zs_within(code, all.offset[e]) : 0;
        if (run.shared)
            load = run.load + (all.offset[e] - within - run.line) / lanes;
        zs_load_until(code, all, &loads, load, hi);
        int met = zs_holds(&loads, load);
        zs_form form = zs_multiplies(code);
        if (within > 0) {
            zs_put_together(code, LOADED, zs_holds(&loads, load + 1), met, within, all.shift[e]);
            met = LOADED;
        } else if (run.shared && all.shift[e] > 0) {
            form.mask = MASK + all.shift[e];
        }
        for (; e < end; e++)
            ahead = zs_take_value(code, form, all.member[e], met, ahead);
        load++;
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
 *       that a lane of 4 bytes joins (zs_joined.h), or 1; what those are kept larger by; items by
 *       which the first block's offsets count from behind a line's start, -1 where that is not
 *       known, and from there to the next block's; whether to write all programs once more behind
 *       the others, as if it were not known.
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
    const int64_t known = args->dim[10], span = args->dim[11], lanes = code.wide ? 8 : 16;
    const int64_t all_programs = args->dim[12] ? 2 * programs : programs;
    if (members > ZS_MEMBERS || shifts > ZS_MASKS)
        return zs_fail(args, ZS_EINTERNAL, members > ZS_MEMBERS ? members : shifts);
    for (int64_t p = 0; p < all_programs; p++) {
        const int64_t program = p % programs, block = program / turn;
        ZS_POLL(args);
        starts[p] = code.begun = code.length;
        code.residue = known < 0 || p >= programs ? -1 : (known + block * span) % lanes;
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
    starts[all_programs] = code.length;
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
