#include "zs_kernel.h"
#include "zs_pointwise.h"

/*
 * O[i] = sum[k](max(A[i,k], B[i,k]))
 * A: 0:U 1:C, float32
 * B: 0:U 1:B, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    const int64_t *restrict A_k_pos = args->buf[1];
    const uint16_t *restrict A_k_crd = args->buf[2];
    const uint64_t *restrict B_k_words = args->buf[3];
    const int64_t *restrict B_k_rank = args->buf[4];
    const float *restrict A_vals = args->buf[5];
    const float *restrict B_vals = args->buf[6];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        O_vals[i] = 0.0f;
    }
    ZS_BARRIER(args);
    ZS_SHARED_BY(A_k_pos, i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
            const int64_t k = A_k_crd[pA_k];
            const int64_t pB_k = zs_bit_locate(B_k_words + i * zs_bit_words(K), B_k_rank + i * zs_bit_words(K), k);
            O_vals[i] += zs_max_float32(A_vals[pA_k], (pB_k >= 0 ? B_vals[pB_k] : 0.0f));
        }
    }
    ZS_BARRIER(args);
    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        for (int64_t w_k = 0; w_k < zs_bit_words(K); w_k++) {
            uint64_t bits_k = B_k_words[i * zs_bit_words(K) + w_k];
            int64_t pB_k__next = B_k_rank[i * zs_bit_words(K) + w_k];
            for (; bits_k != 0; bits_k = zs_drop_lowest(bits_k)) {
                const int64_t pB_k_ = pB_k__next++;
                const int64_t k = w_k * 64 + zs_ctz(bits_k);
                const int64_t pA_k_ = zs_locate_uint16(A_k_crd, A_k_pos[i], A_k_pos[i + 1], k);
                if (pA_k_ < 0) {
                    O_vals[i] += zs_max_float32(0.0f, B_vals[pB_k_]);
                }
            }
        }
    }
    return ZS_OK;
}
