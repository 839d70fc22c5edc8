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
 * entries: those of M
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict S_vals = args->buf[0];
    const int64_t *restrict M_j_pos = args->buf[1];
    const uint16_t *restrict M_j_crd = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict B_vals = args->buf[4];
    const float *restrict M_vals = args->buf[5];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[2];

    ZS_SHARED_BY(M_j_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
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
                    sums[e] += *(const zs_vec *)(A_vals + i * K + k) * *(const zs_vec *)(B_vals + j * K + k);
                }
            }
            *(zs_vec *)sum_of = zs_lane_sums_float32_64(sums);
            for (; k < K; k++) {
                #pragma GCC unroll 16
                for (int e = 0; e < 16; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    float acc = sum_of[e];
                    acc += A_vals[i * K + k] * B_vals[j * K + k];
                    sum_of[e] = acc;
                }
            }
            *(zs_vec *)(S_vals + pM_j_at) = *(const zs_vec *)sum_of * *(const zs_vec *)(M_vals + pM_j_at);
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
                    sums[e] += *(const zs_vec *)(A_vals + i * K + k) * *(const zs_vec *)(B_vals + j * K + k);
                }
            }
            zs_lane_sums4_float32_64(sum_of, sums);
            for (; k < K; k++) {
                #pragma GCC unroll 4
                for (int e = 0; e < 4; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    float acc = sum_of[e];
                    acc += A_vals[i * K + k] * B_vals[j * K + k];
                    sum_of[e] = acc;
                }
            }
            #pragma GCC unroll 4
            for (int e = 0; e < 4; e++) {
                const int64_t pM_j = pM_j_at + e;
                const float acc = sum_of[e];
                S_vals[pM_j] = acc * M_vals[pM_j];
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
                    sums[e] += *(const zs_vec *)(A_vals + i * K + k) * *(const zs_vec *)(B_vals + j * K + k);
                }
            }
            sum_of[0] = zs_lane_sum_float32_64(sums[0]);
            for (; k < K; k++) {
                #pragma GCC unroll 1
                for (int e = 0; e < 1; e++) {
                    const int64_t pM_j = pM_j_at + e;
                    const int64_t j = M_j_crd[pM_j];
                    float acc = sum_of[e];
                    acc += A_vals[i * K + k] * B_vals[j * K + k];
                    sum_of[e] = acc;
                }
            }
            #pragma GCC unroll 1
            for (int e = 0; e < 1; e++) {
                const int64_t pM_j = pM_j_at + e;
                const float acc = sum_of[e];
                S_vals[pM_j] = acc * M_vals[pM_j];
            }
        }
    }
    return ZS_OK;
}
