#include "zs_kernel.h"
#include "zs_dots.h"

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
    int64_t *restrict S_ends = args->buf[5];
    uint16_t *restrict S_places = args->buf[6];
    const int64_t *restrict M_j_pos = args->buf[7];
    const uint16_t *restrict M_j_crd = args->buf[8];
    const float *restrict A_vals = args->buf[9];
    const float *restrict B_vals = args->buf[10];
    const float *restrict M_vals = args->buf[11];
    const int64_t I = args->dim[1];
    const int64_t room = args->dim[2];
    const int64_t K = args->dim[3];

    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        int64_t n_out = S_ends[i];
        int64_t pM_j_at = M_j_pos[i];
        const int64_t pM_j_end = M_j_pos[i + 1];
        for (; pM_j_at + 16 <= pM_j_end; pM_j_at += 16) {
            ZS_POLL(args);
            float sum_of[16];
            zs_vec sums[16] = {};
            int64_t k = 0;
            for (; k + LANES <= K; k += LANES) {
                #pragma GCC unroll 16
                for (int e = 0; e < 16; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    sums[e] += *(const zs_vec *)(A_vals + i * K + k) * M_vals[pM_j] * *(const zs_vec *)(B_vals + j * K + k);
                }
            }
            *(zs_vec *)sum_of = zs_lane_sums_float32_64(sums);
            for (; k < K; k++) {
                #pragma GCC unroll 16
                for (int e = 0; e < 16; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    float acc = sum_of[e];
                    acc += A_vals[i * K + k] * B_vals[j * K + k] * M_vals[pM_j];
                    sum_of[e] = acc;
                }
            }
            #pragma GCC unroll 16
            for (int e = 0; e < 16; e++) {
                const int64_t pM_j = pM_j_at + e;
                const int64_t j = M_j_crd[pM_j];
                const float acc = sum_of[e];
                const float sum = acc;
                if (n_out < room) {
                    S_places[n_out] = j;
                    S_vals[n_out] = sum;
                }
                n_out++;
            }
        }
        for (; pM_j_at + 4 <= pM_j_end; pM_j_at += 4) {
            ZS_POLL(args);
            float sum_of[4];
            zs_vec sums[4] = {};
            int64_t k = 0;
            for (; k + LANES <= K; k += LANES) {
                #pragma GCC unroll 4
                for (int e = 0; e < 4; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    sums[e] += *(const zs_vec *)(A_vals + i * K + k) * M_vals[pM_j] * *(const zs_vec *)(B_vals + j * K + k);
                }
            }
            zs_lane_sums4_float32_64(sum_of, sums);
            for (; k < K; k++) {
                #pragma GCC unroll 4
                for (int e = 0; e < 4; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    float acc = sum_of[e];
                    acc += A_vals[i * K + k] * B_vals[j * K + k] * M_vals[pM_j];
                    sum_of[e] = acc;
                }
            }
            #pragma GCC unroll 4
            for (int e = 0; e < 4; e++) {
                const int64_t pM_j = pM_j_at + e;
                const int64_t j = M_j_crd[pM_j];
                const float acc = sum_of[e];
                const float sum = acc;
                if (n_out < room) {
                    S_places[n_out] = j;
                    S_vals[n_out] = sum;
                }
                n_out++;
            }
        }
        for (; pM_j_at < pM_j_end; pM_j_at++) {
            ZS_POLL(args);
            float sum_of[1];
            zs_vec sums[1] = {};
            int64_t k = 0;
            for (; k + LANES <= K; k += LANES) {
                #pragma GCC unroll 1
                for (int e = 0; e < 1; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    sums[e] += *(const zs_vec *)(A_vals + i * K + k) * M_vals[pM_j] * *(const zs_vec *)(B_vals + j * K + k);
                }
            }
            sum_of[0] = zs_lane_sum_float32_64(sums[0]);
            for (; k < K; k++) {
                #pragma GCC unroll 1
                for (int e = 0; e < 1; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    float acc = sum_of[e];
                    acc += A_vals[i * K + k] * B_vals[j * K + k] * M_vals[pM_j];
                    sum_of[e] = acc;
                }
            }
            #pragma GCC unroll 1
            for (int e = 0; e < 1; e++) {
                const int64_t pM_j = pM_j_at + e;
                const int64_t j = M_j_crd[pM_j];
                const float acc = sum_of[e];
                const float sum = acc;
                if (n_out < room) {
                    S_places[n_out] = j;
                    S_vals[n_out] = sum;
                }
                n_out++;
            }
        }
        S_ends[i + 1] = n_out;
    }
    return ZS_OK;
}
