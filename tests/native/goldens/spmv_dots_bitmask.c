#include "zs_kernel.h"
#include "zs_dots.h"

/* 64 bytes of float at any element's address */
typedef float zs_vec __attribute__((vector_size(64), aligned(sizeof(float)), may_alias));
enum { LANES = 64 / sizeof(float) };

/*
 * y[i] = sum[j](A[i,j]*x[j])
 * A: 0:U 1:B, float32
 * x: 0:U, float32
 * dots: A
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const uint64_t *restrict A_j_words = args->buf[1];
    const int64_t *restrict A_j_rank = args->buf[2];
    const float *restrict A_vals = args->buf[3];
    const float *restrict x_vals = args->buf[4];
    const int64_t I = args->dim[0];
    const int64_t J = args->dim[1];
    const int64_t A_stored = args->dim[2];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        const int64_t words = zs_bit_words(J);
        const int64_t first = i * words;
        int64_t pA_j = words > 0 ? A_j_rank[first] : 0;
        int64_t w_j = 0;
        zs_vec sums[4] = {};
        /* words of which every value that vectors read is there */
        for (; w_j < J / 64 && pA_j + 64 <= A_stored; w_j++) {
            const uint64_t bits_j = A_j_words[first + w_j];
            ZS_AHEAD(A_vals + pA_j);
            for (int part = 0; part < 64; part += 4 * LANES) {
                #pragma GCC unroll 4
                for (int v = 0; v < 4; v++) {
                    const int at = part + v * LANES;
                    const unsigned mask = bits_j >> at & ZS_LANE_BITS(LANES);
                    const zs_vec values = *(const zs_vec *)(A_vals + pA_j);
                    const zs_vec there = *(const zs_vec *)(x_vals + w_j * 64 + at);
                    sums[v] = zs_add_spread_float32_64(sums[v], values, there, mask);
                    pA_j += zs_popcount(mask);
                }
            }
        }
        acc += zs_lane_sum_float32_64(sums[0] + sums[1] + sums[2] + sums[3]);
        for (; w_j < words; w_j++) {
            uint64_t bits_j = A_j_words[first + w_j];
            for (; bits_j != 0; bits_j = zs_drop_lowest(bits_j)) {
                const int64_t j = w_j * 64 + zs_ctz(bits_j);
                acc += A_vals[pA_j] * x_vals[j];
                pA_j++;
            }
        }
        y_vals[i] = acc;
    }
    return ZS_OK;
}
