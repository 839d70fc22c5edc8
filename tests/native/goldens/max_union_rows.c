#include "zs_kernel.h"
#include "zs_pointwise.h"
#include "zs_rows.h"

/*
 * O[i,k] = max(A[i,k], B[i,k])
 * A: 0:U 1:C, float32
 * B: 0:U 1:C, float32
 * rows: i
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict O_vals = args->buf[0];
    float *restrict O_row = args->buf[1];
    uint8_t *restrict O_seen = args->buf[2];
    int64_t *restrict O_touched = args->buf[3];
    uint64_t *restrict O_bits = args->buf[4];
    int64_t *restrict O_ends = args->buf[5];
    uint16_t *restrict O_places = args->buf[6];
    const int64_t *restrict A_k_pos = args->buf[7];
    const uint16_t *restrict A_k_crd = args->buf[8];
    const int64_t *restrict B_k_pos = args->buf[9];
    const uint16_t *restrict B_k_crd = args->buf[10];
    const float *restrict A_vals = args->buf[11];
    const float *restrict B_vals = args->buf[12];
    const int64_t K = args->dim[0];
    const int64_t I = args->dim[1];
    const int64_t room = args->dim[2];

    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        int64_t n_out = O_ends[i];
        if (zs_is_swept(O_ends, i, K, room, ZS_SWEPT_ROW)) {
            const int64_t before = O_ends[i] - O_ends[i - 1];
            for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                const int64_t k = A_k_crd[pA_k];
                const int64_t pB_k = zs_locate_uint16(B_k_crd, B_k_pos[i], B_k_pos[i + 1], k);
                const int64_t place = k;
                O_seen[place] = 1;
                O_row[place] += zs_max_float32(A_vals[pA_k], (pB_k >= 0 ? B_vals[pB_k] : 0.0f));
            }
            for (int64_t pB_k_ = B_k_pos[i]; pB_k_ < B_k_pos[i + 1]; pB_k_++) {
                const int64_t k = B_k_crd[pB_k_];
                const int64_t pA_k_ = zs_locate_uint16(A_k_crd, A_k_pos[i], A_k_pos[i + 1], k);
                if (pA_k_ < 0) {
                    const int64_t place = k;
                    O_seen[place] = 1;
                    O_row[place] += zs_max_float32(0.0f, B_vals[pB_k_]);
                }
            }
            n_out = zs_sweep4_uint16(O_row, O_seen, O_places, O_vals, n_out, K, before);
        }
        else {
            int64_t n_row = 0;
            for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                const int64_t k = A_k_crd[pA_k];
                const int64_t pB_k = zs_locate_uint16(B_k_crd, B_k_pos[i], B_k_pos[i + 1], k);
                const int64_t place = k;
                O_touched[n_row] = place;
                n_row += !O_seen[place];
                O_seen[place] = 1;
                O_row[place] += zs_max_float32(A_vals[pA_k], (pB_k >= 0 ? B_vals[pB_k] : 0.0f));
            }
            for (int64_t pB_k_ = B_k_pos[i]; pB_k_ < B_k_pos[i + 1]; pB_k_++) {
                const int64_t k = B_k_crd[pB_k_];
                const int64_t pA_k_ = zs_locate_uint16(A_k_crd, A_k_pos[i], A_k_pos[i + 1], k);
                if (pA_k_ < 0) {
                    const int64_t place = k;
                    O_touched[n_row] = place;
                    n_row += !O_seen[place];
                    O_seen[place] = 1;
                    O_row[place] += zs_max_float32(0.0f, B_vals[pB_k_]);
                }
            }
            if (zs_is_full(n_row, K, ZS_SWEPT_ROW) && n_out + n_row + ZS_SWEPT <= room) {
                n_out = zs_sweep4_uint16(O_row, O_seen, O_places, O_vals, n_out, K, n_row);
            }
            else {
                zs_sort_row(O_touched, n_row, O_seen, O_bits, K);
                for (int64_t k_ = 0; k_ < n_row; k_++) {
                    const int64_t at = O_touched[k_];
                    const float sum = O_row[at];
                    O_row[at] = 0;
                    O_seen[at] = 0;
                    if (n_out < room) {
                        O_places[n_out] = at;
                        O_vals[n_out] = sum;
                    }
                    n_out++;
                }
            }
        }
        O_ends[i + 1] = n_out;
    }
    return ZS_OK;
}
