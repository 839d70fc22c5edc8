#include "zs_kernel.h"
#include "zs_dots.h"
#include "zs_rows.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

/*
 * S[i,j] = sum[k](A[i,k]*B[j,k]*M[i,j])
 * A: 0:U 1:U, float32
 * B: 0:U 1:U, float32
 * M: 0:U 1:C, float32
 * rows: i
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict S_vals = args->buf[0];
    float *restrict S_row = args->buf[1];
    uint8_t *restrict S_seen = args->buf[2];
    int64_t *restrict S_touched = args->buf[3];
    uint64_t *restrict S_bits = args->buf[4];
    int64_t *restrict S_ends = args->buf[5];
    uint16_t *restrict S_places = args->buf[6];
    const int64_t *restrict M_j_pos = args->buf[7];
    const uint16_t *restrict M_j_crd = args->buf[8];
    const float *restrict A_vals = args->buf[9];
    const float *restrict B_vals = args->buf[10];
    const float *restrict M_vals = args->buf[11];
    const int64_t J = args->dim[0];
    const int64_t I = args->dim[1];
    const int64_t room = args->dim[2];
    const int64_t K = args->dim[3];

    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        int64_t n_out = S_ends[i];
        if (zs_is_swept(S_ends, i, J, room)) {
            for (int64_t pM_j = M_j_pos[i]; pM_j < M_j_pos[i + 1]; pM_j++) {
                const int64_t j = M_j_crd[pM_j];
                ZS_POLL(args);
                float acc = 0.0f;
                int64_t k = 0;
                zs_vec sums[4] = {};
                for (; k + 4 * LANES <= K; k += 4 * LANES) {
                    #pragma GCC unroll 4
                    for (int v = 0; v < 4; v++) {
                        sums[v] += *(const zs_vec *)(A_vals + i * K + k + v * LANES) * *(const zs_vec *)(B_vals + j * K + k + v * LANES);
                    }
                }
                for (; k + LANES <= K; k += LANES) {
                    sums[0] += *(const zs_vec *)(A_vals + i * K + k) * *(const zs_vec *)(B_vals + j * K + k);
                }
                acc += zs_lane_sum_float32_64(sums[0] + sums[1] + sums[2] + sums[3]) * M_vals[pM_j];
                for (; k < K; k++) {
                    acc += A_vals[i * K + k] * B_vals[j * K + k] * M_vals[pM_j];
                }
                const int64_t place_ = j;
                S_seen[place_] = 1;
                S_row[place_] += acc;
            }
            n_out = zs_sweep4_uint16(S_row, S_seen, S_places, S_vals, n_out, J);
        }
        else {
            int64_t n_row = 0;
            for (int64_t pM_j = M_j_pos[i]; pM_j < M_j_pos[i + 1]; pM_j++) {
                const int64_t j = M_j_crd[pM_j];
                ZS_POLL(args);
                float acc = 0.0f;
                int64_t k = 0;
                zs_vec sums[4] = {};
                for (; k + 4 * LANES <= K; k += 4 * LANES) {
                    #pragma GCC unroll 4
                    for (int v = 0; v < 4; v++) {
                        sums[v] += *(const zs_vec *)(A_vals + i * K + k + v * LANES) * *(const zs_vec *)(B_vals + j * K + k + v * LANES);
                    }
                }
                for (; k + LANES <= K; k += LANES) {
                    sums[0] += *(const zs_vec *)(A_vals + i * K + k) * *(const zs_vec *)(B_vals + j * K + k);
                }
                acc += zs_lane_sum_float32_64(sums[0] + sums[1] + sums[2] + sums[3]) * M_vals[pM_j];
                for (; k < K; k++) {
                    acc += A_vals[i * K + k] * B_vals[j * K + k] * M_vals[pM_j];
                }
                const int64_t place_ = j;
                S_touched[n_row] = place_;
                n_row += !S_seen[place_];
                S_seen[place_] = 1;
                S_row[place_] += acc;
            }
            if (zs_is_full(n_row, J) && n_out + n_row + ZS_SWEPT <= room) {
                n_out = zs_sweep4_uint16(S_row, S_seen, S_places, S_vals, n_out, J);
            }
            else {
                zs_sort_row(S_touched, n_row, S_seen, S_bits, J);
                for (int64_t k_ = 0; k_ < n_row; k_++) {
                    const int64_t at = S_touched[k_];
                    const float sum = S_row[at];
                    S_row[at] = 0;
                    S_seen[at] = 0;
                    if (n_out < room) {
                        S_places[n_out] = at;
                        S_vals[n_out] = sum;
                    }
                    n_out++;
                }
            }
        }
        S_ends[i + 1] = n_out;
    }
    return ZS_OK;
}
