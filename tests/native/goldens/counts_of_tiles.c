#include "zs_kernel.h"

/*
 * W[4*p//P,m] += F[m,c,r]*I[c,p+r]
 * F: 0:U 1*2:C, bool
 * I: 0:U 1:B, bool
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    int64_t *restrict W_vals = args->buf[0];
    const int64_t *restrict F_cr_pos = args->buf[1];
    const uint16_t *restrict F_cr_crd = args->buf[2];
    const uint64_t *restrict I_level1_words = args->buf[3];
    const int64_t *restrict I_level1_rank = args->buf[4];
    const uint8_t *restrict F_vals = args->buf[5];
    const uint8_t *restrict I_vals = args->buf[6];
    const int64_t W_dim0 = args->dim[0];
    const int64_t M = args->dim[1];
    const int64_t R = args->dim[3];
    const int64_t I_dim1 = args->dim[4];
    const int64_t P = args->dim[5];
    const int64_t P_ = args->dim[6];

    ZS_SHARED(i, args->part, args->parts, 0, W_dim0 * M) {
        W_vals[i] = 0;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(F_cr_pos, m, args->part, args->parts, 0, M) {
        ZS_POLL(args);
        for (int64_t pF_cr = F_cr_pos[m]; pF_cr < F_cr_pos[m + 1]; pF_cr++) {
            const int64_t F_cr_at = F_cr_crd[pF_cr];
            ZS_POLL(args);
            const int64_t c = F_cr_at / R;
            const int64_t r = F_cr_at % R;
            for (int64_t w_I_level1_at = 0; w_I_level1_at < zs_bit_words(I_dim1); w_I_level1_at++) {
                uint64_t bits_I_level1_at = I_level1_words[c * zs_bit_words(I_dim1) + w_I_level1_at];
                int64_t pI_level1_next = I_level1_rank[c * zs_bit_words(I_dim1) + w_I_level1_at];
                for (; bits_I_level1_at != 0; bits_I_level1_at = zs_drop_lowest(bits_I_level1_at)) {
                    const int64_t pI_level1 = pI_level1_next++;
                    const int64_t I_level1_at = w_I_level1_at * 64 + zs_ctz(bits_I_level1_at);
                    const int64_t p = I_level1_at - r;
                    if (p >= 0 && p < P) {
                        W_vals[(4 * p / P_) * M + m] += (int64_t)F_vals[pF_cr] * (int64_t)I_vals[pI_level1];
                    }
                }
            }
        }
    }
    return ZS_OK;
}
