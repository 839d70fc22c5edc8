#include "zs_kernel.h"

/*
 * y[i] = sum[k](A[i,k]*B[i,k])
 * A: 0:U 1:B, float32
 * B: 0:U 1:B, float32
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict y_vals = args->buf[0];
    const uint64_t *restrict A_k_words = args->buf[1];
    const int64_t *restrict A_k_rank = args->buf[2];
    const uint64_t *restrict B_k_words = args->buf[3];
    const int64_t *restrict B_k_rank = args->buf[4];
    const float *restrict A_vals = args->buf[5];
    const float *restrict B_vals = args->buf[6];
    const int64_t I = args->dim[0];
    const int64_t K = args->dim[1];

    ZS_SHARED(i, args->part, args->parts, 0, I) {
        ZS_POLL(args);
        float acc = 0.0f;
        for (int64_t block_k = 0; block_k < zs_bit_words(K); block_k += ZS_MET_WORDS) {
            const int64_t block_end_k = zs_min(zs_bit_words(K), block_k + ZS_MET_WORDS);
            int64_t found_k = 0;
            if (block_end_k - block_k >= ZS_MET_LEAST) {
                for (int64_t w_k = block_k; w_k < block_end_k; w_k++) {
                    found_k += zs_popcount(A_k_words[w_k + i * zs_bit_words(K)] & B_k_words[w_k + i * zs_bit_words(K)]);
                }
                if (found_k == 0) {
                    continue;
                }
            }
            if (!zs_worth_listing(found_k, block_end_k - block_k)) {
                for (int64_t w_k = block_k; w_k < block_end_k; w_k++) {
                    const uint64_t word_pA_k = A_k_words[w_k + i * zs_bit_words(K)];
                    const uint64_t word_pB_k = B_k_words[w_k + i * zs_bit_words(K)];
                    uint64_t bits_k = word_pA_k & word_pB_k;
                    for (; bits_k != 0; bits_k = zs_drop_lowest(bits_k)) {
                        const int64_t pA_k = A_k_rank[w_k + i * zs_bit_words(K)] + zs_bits_before(word_pA_k, bits_k);
                        const int64_t pB_k = B_k_rank[w_k + i * zs_bit_words(K)] + zs_bits_before(word_pB_k, bits_k);
                        acc += A_vals[pA_k] * B_vals[pB_k];
                    }
                }
                continue;
            }
            uint16_t met_k[ZS_MET];
            found_k = 0;
            for (int64_t w_k = block_k; w_k < block_end_k; w_k++) {
                found_k = zs_list_met(met_k, found_k, A_k_words[w_k + i * zs_bit_words(K)] & B_k_words[w_k + i * zs_bit_words(K)], (w_k - block_k) * 64);
            }
            for (int64_t each_k = 0; each_k < found_k; each_k++) {
                const int64_t k = block_k * 64 + met_k[each_k];
                const int64_t pA_k = zs_bits_to(A_k_words + i * zs_bit_words(K), A_k_rank + i * zs_bit_words(K), k);
                const int64_t pB_k = zs_bits_to(B_k_words + i * zs_bit_words(K), B_k_rank + i * zs_bit_words(K), k);
                acc += A_vals[pA_k] * B_vals[pB_k];
            }
        }
        y_vals[i] = acc;
    }
    return ZS_OK;
}
