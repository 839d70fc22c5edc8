#include "zs_kernel.h"
#include "zs_rows.h"

/*
 * C[i,j] = A[i,j] + B[i,j]
 * A: 0:U 1:C, float32
 * B: 0:U 1:B, float32
 * rows: i
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict C_vals = args->buf[0];
    float *restrict C_row = args->buf[1];
    uint8_t *restrict C_seen = args->buf[2];
    int64_t *restrict C_touched = args->buf[3];
    uint64_t *restrict C_bits = args->buf[4];
    int64_t *restrict C_ends = args->buf[5];
    uint16_t *restrict C_places = args->buf[6];
    const int64_t *restrict A_j_pos = args->buf[7];
    const uint16_t *restrict A_j_crd = args->buf[8];
    const float *restrict A_vals = args->buf[9];
    const uint64_t *restrict B_j_words = args->buf[10];
    const int64_t *restrict B_j_rank = args->buf[11];
    const float *restrict B_vals = args->buf[12];
    const int64_t J = args->dim[0];
    const int64_t I = args->dim[1];
    const int64_t room = args->dim[2];

    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        int64_t n_out = C_ends[i];
        if (zs_is_swept(C_ends, i, J, room, ZS_SWEPT_ROW)) {
            const int64_t before = C_ends[i] - C_ends[i - 1];
            int64_t asked = 0;
            {
                int64_t pA_j_at = A_j_pos[i];
                const int64_t pA_j_end = A_j_pos[i + 1];
                if (asked < before) {
                    ZS_ASK(C_places, C_vals, n_out + asked, zs_min(pA_j_end - pA_j_at, before - asked));
                    asked += pA_j_end - pA_j_at;
                }
                for (; pA_j_at + 4 <= pA_j_end; pA_j_at += 4) {
                    int64_t places[4];
                    float sums[4];
                    #pragma GCC unroll 4
                    for (int e = 0; e < 4; e++) {
                        const int64_t pA_j = pA_j_at + e;
                        const int64_t j = A_j_crd[pA_j];
                        places[e] = j;
                        sums[e] = C_row[j] + A_vals[pA_j];
                    }
                    #pragma GCC unroll 4
                    for (int e = 0; e < 4; e++) {
                        C_seen[places[e]] = 1;
                        C_row[places[e]] = sums[e];
                    }
                }
                for (int64_t pA_j = pA_j_at; pA_j < pA_j_end; pA_j++) {
                    const int64_t j = A_j_crd[pA_j];
                    const int64_t place = j;
                    C_seen[place] = 1;
                    C_row[place] += A_vals[pA_j];
                }
            }
            for (int64_t w_j = 0; w_j < zs_bit_words(J); w_j++) {
                uint64_t bits_j = B_j_words[i * zs_bit_words(J) + w_j];
                int64_t pB_j_next = B_j_rank[i * zs_bit_words(J) + w_j];
                for (; bits_j != 0; bits_j = zs_drop_lowest(bits_j)) {
                    const int64_t pB_j = pB_j_next++;
                    const int64_t j = w_j * 64 + zs_ctz(bits_j);
                    const int64_t place = j;
                    C_seen[place] = 1;
                    C_row[place] += B_vals[pB_j];
                }
            }
            n_out = zs_sweep4_uint16(C_row, C_seen, C_places, C_vals, n_out, J, before);
        }
        else {
            int64_t n_row = 0;
            for (int64_t pA_j = A_j_pos[i]; pA_j < A_j_pos[i + 1]; pA_j++) {
                const int64_t j = A_j_crd[pA_j];
                const int64_t place = j;
                C_touched[n_row] = place;
                n_row += !C_seen[place];
                C_seen[place] = 1;
                C_row[place] += A_vals[pA_j];
            }
            for (int64_t w_j = 0; w_j < zs_bit_words(J); w_j++) {
                uint64_t bits_j = B_j_words[i * zs_bit_words(J) + w_j];
                int64_t pB_j_next = B_j_rank[i * zs_bit_words(J) + w_j];
                for (; bits_j != 0; bits_j = zs_drop_lowest(bits_j)) {
                    const int64_t pB_j = pB_j_next++;
                    const int64_t j = w_j * 64 + zs_ctz(bits_j);
                    const int64_t place = j;
                    C_touched[n_row] = place;
                    n_row += !C_seen[place];
                    C_seen[place] = 1;
                    C_row[place] += B_vals[pB_j];
                }
            }
            if (zs_is_full(n_row, J, ZS_SWEPT_ROW) && n_out + n_row + ZS_SWEPT <= room) {
                n_out = zs_sweep4_uint16(C_row, C_seen, C_places, C_vals, n_out, J, n_row);
            }
            else {
                zs_sort_row(C_touched, n_row, C_seen, C_bits, J);
                for (int64_t k = 0; k < n_row; k++) {
                    const int64_t at = C_touched[k];
                    const float sum = C_row[at];
                    C_row[at] = 0;
                    C_seen[at] = 0;
                    if (n_out < room) {
                        C_places[n_out] = at;
                        C_vals[n_out] = sum;
                    }
                    n_out++;
                }
            }
        }
        C_ends[i + 1] = n_out;
    }
    return ZS_OK;
}
