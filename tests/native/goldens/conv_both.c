#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[n,m,p,q] = relu(B[m] + sum[c,r,s](F[m,c,r,s]*I[n,c,2*p+r,q+s]))
 * B: 0:U, float32
 * F: 1:U 0*2*3:C, float32
 * I: 0*1:U 2*3:B, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const float *restrict B_vals = args->buf[1];
    const int64_t *restrict F_mrs_pos = args->buf[2];
    const uint16_t *restrict F_mrs_crd = args->buf[3];
    const uint64_t *restrict I_level1_words = args->buf[4];
    const int64_t *restrict I_level1_rank = args->buf[5];
    const float *restrict F_vals = args->buf[6];
    const float *restrict I_vals = args->buf[7];
    const int64_t M = args->dim[0];
    const int64_t N = args->dim[1];
    const int64_t P = args->dim[2];
    const int64_t Q = args->dim[3];
    const int64_t C = args->dim[4];
    const int64_t R = args->dim[5];
    const int64_t S = args->dim[6];
    const int64_t I_dim2 = args->dim[7];
    const int64_t I_dim3 = args->dim[8];
    const int64_t I_pad2 = args->dim[9];
    const int64_t I_pad3 = args->dim[10];

    for (int64_t i = 0; i < N * M * P * Q; i++) {
        O_vals[i] = 0.0f;
    }
    for (int64_t c = 0; c < C; c++) {
        ZS_POLL(args);
        for (int64_t pF_mrs = F_mrs_pos[c]; pF_mrs < F_mrs_pos[c + 1]; pF_mrs++) {
            const int64_t F_mrs_at = F_mrs_crd[pF_mrs];
            ZS_POLL(args);
            const int64_t m = F_mrs_at / (R * S);
            const int64_t r = (F_mrs_at / S) % R;
            const int64_t s = F_mrs_at % S;
            for (int64_t n = 0; n < N; n++) {
                for (int64_t w_I_level1_at = 0; w_I_level1_at < zs_bit_words(I_dim2 * I_dim3); w_I_level1_at++) {
                    uint64_t bits_I_level1_at = I_level1_words[(n * C + c) * zs_bit_words(I_dim2 * I_dim3) + w_I_level1_at];
                    int64_t pI_level1_next = I_level1_rank[(n * C + c) * zs_bit_words(I_dim2 * I_dim3) + w_I_level1_at];
                    for (; bits_I_level1_at != 0; bits_I_level1_at = zs_drop_lowest(bits_I_level1_at)) {
                        const int64_t pI_level1 = pI_level1_next++;
                        const int64_t I_level1_at = w_I_level1_at * 64 + zs_ctz(bits_I_level1_at);
                        const int64_t p_by_2 = I_level1_at / I_dim3 + I_pad2 - r;
                        if (p_by_2 >= 0 && p_by_2 % 2 == 0) {
                            const int64_t p = p_by_2 / 2;
                            if (p < P) {
                                const int64_t q = I_level1_at % I_dim3 + I_pad3 - s;
                                if (q >= 0 && q < Q) {
                                    O_vals[((n * M + m) * P + p) * Q + q] += F_vals[pF_mrs] * I_vals[pI_level1];
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    for (int64_t n = 0; n < N; n++) {
        ZS_POLL(args);
        for (int64_t m = 0; m < M; m++) {
            ZS_POLL(args);
            for (int64_t p = 0; p < P; p++) {
                for (int64_t q = 0; q < Q; q++) {
                    O_vals[((n * M + m) * P + p) * Q + q] = zs_relu_float32(O_vals[((n * M + m) * P + p) * Q + q] + B_vals[m]);
                }
            }
        }
    }
    return ZS_OK;
}
