#include "zs_kernel.h"
#include "zs_pointwise.h"
#include "zs_rows.h"
#include "zs_lists.h"

/*
 * D[i,j] min= A[i,k] + A[k,j]
 * A: 0:U 1:C, float32, fill inf
 * rows: i
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict D_vals = args->buf[0];
    float *restrict D_row = args->buf[1];
    uint8_t *restrict D_seen = args->buf[2];
    int64_t *restrict D_touched = args->buf[3];
    uint64_t *restrict D_bits = args->buf[4];
    int64_t *restrict D_ends = args->buf[5];
    uint16_t *restrict D_places = args->buf[6];
    const int64_t *restrict A_k_pos = args->buf[7];
    const uint16_t *restrict A_k_crd = args->buf[8];
    const float *restrict A_vals = args->buf[9];
    const int64_t J = args->dim[0];
    const int64_t I = args->dim[1];
    const int64_t room = args->dim[2];
    const int64_t A_stored = args->dim[4];

    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        int64_t n_out = D_ends[i];
        int64_t most = 0;
        for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
            const int64_t k = A_k_crd[pA_k];
            most += A_k_pos[k + 1] - A_k_pos[k];
        }
        if (most <= zs_list_most(J)) {
            ZS_ASK(D_places, D_vals, n_out + most, most);
            uint32_t keys[ZS_LIST + ZS_LIST_PAST];
            float listed[ZS_LIST + ZS_LIST_PAST];
            const int shift = zs_list_shift(J);
            int64_t n_list = 0;
            for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                const int64_t k = A_k_crd[pA_k];
                if (pA_k + 16 < A_stored) {
                    __builtin_prefetch(A_k_pos + A_k_crd[pA_k + 16]);
                    const int64_t coming = A_k_pos[A_k_crd[pA_k + 8]];
                    __builtin_prefetch(A_k_crd + coming);
                    __builtin_prefetch(A_vals + coming);
                }
                ZS_POLL(args);
                int64_t pA2_k_first = A_k_pos[k];
                const int64_t pA2_k_end = A_k_pos[k + 1];
                for (; pA2_k_first < pA2_k_end && pA2_k_first + ZS_LIST_PAST <= A_stored; pA2_k_first += ZS_LIST_PAST) {
                    for (int e = 0; e < ZS_LIST_PAST; e++) {
                        const int64_t pA2_k = pA2_k_first + e;
                        const int64_t j = A_k_crd[pA2_k];
                        keys[(n_list + e)] = (uint32_t)j << shift | (uint32_t)(n_list + e);
                        listed[(n_list + e)] = zs_min_float32(__builtin_inff(), A_vals[pA_k] + A_vals[pA2_k]);
                    }
                    const int64_t found = zs_min(pA2_k_end - pA2_k_first, ZS_LIST_PAST);
                    n_list += found;
                }
                for (int64_t pA2_k = pA2_k_first; pA2_k < pA2_k_end; pA2_k++) {
                    const int64_t j = A_k_crd[pA2_k];
                    const int64_t place = j;
                    keys[n_list] = (uint32_t)place << shift | (uint32_t)n_list;
                    listed[n_list] = zs_min_float32(__builtin_inff(), A_vals[pA_k] + A_vals[pA2_k]);
                    n_list++;
                }
            }
            zs_sort_keys(keys, n_list);
            int64_t pause = 0, next = 0;
            for (int64_t k_ = 0; k_ < n_list;) {
                if (k_ >= next && n_out + n_list - k_ + ZS_LIST_PAST <= room) {
                    const int64_t own = zs_list_copied4_uint16(
                        keys + k_, n_list - k_, shift, listed, D_places + n_out, D_vals + n_out);
                    n_out += own;
                    k_ += own;
                    if (k_ == n_list) {
                        break;
                    }
                    pause = own < ZS_LIST_RUN ? 2 * pause + ZS_LIST_RUN : 0;
                    next = k_ + pause;
                }
                const int64_t at = keys[k_] >> shift;
                float sum = listed[keys[k_] & (((uint32_t)1 << shift) - 1)];
                for (k_++; k_ < n_list && keys[k_] >> shift == at; k_++) {
                    sum = zs_min_float32(sum, listed[keys[k_] & (((uint32_t)1 << shift) - 1)]);
                }
                const float stored_ = sum;
                if (n_out < room) {
                    D_places[n_out] = at;
                    D_vals[n_out] = stored_;
                }
                n_out++;
            }
        }
        else {
            if (zs_is_swept(D_ends, i, J, room, ZS_FULL_ROW)) {
                for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                    const int64_t k = A_k_crd[pA_k];
                    if (pA_k + 16 < A_stored) {
                        __builtin_prefetch(A_k_pos + A_k_crd[pA_k + 16]);
                        const int64_t coming = A_k_pos[A_k_crd[pA_k + 8]];
                        __builtin_prefetch(A_k_crd + coming);
                        __builtin_prefetch(A_vals + coming);
                    }
                    ZS_POLL(args);
                    for (int64_t pA2_k = A_k_pos[k]; pA2_k < A_k_pos[k + 1]; pA2_k++) {
                        const int64_t j = A_k_crd[pA2_k];
                        const int64_t place = j;
                        D_seen[place] = 1;
                        D_row[place] = zs_min_float32(D_row[place], A_vals[pA_k] + A_vals[pA2_k]);
                    }
                }
                for (int64_t at = 0; at < J; at++) {
                    D_places[n_out] = at;
                    D_vals[n_out] = D_row[at];
                    n_out += D_seen[at];
                    D_row[at] = __builtin_inff();
                    D_seen[at] = 0;
                }
            }
            else {
                int64_t n_row = 0;
                for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                    const int64_t k = A_k_crd[pA_k];
                    if (pA_k + 16 < A_stored) {
                        __builtin_prefetch(A_k_pos + A_k_crd[pA_k + 16]);
                        const int64_t coming = A_k_pos[A_k_crd[pA_k + 8]];
                        __builtin_prefetch(A_k_crd + coming);
                        __builtin_prefetch(A_vals + coming);
                    }
                    ZS_POLL(args);
                    for (int64_t pA2_k = A_k_pos[k]; pA2_k < A_k_pos[k + 1]; pA2_k++) {
                        const int64_t j = A_k_crd[pA2_k];
                        const int64_t place = j;
                        D_touched[n_row] = place;
                        n_row += !D_seen[place];
                        D_seen[place] = 1;
                        D_row[place] = zs_min_float32(D_row[place], A_vals[pA_k] + A_vals[pA2_k]);
                    }
                }
                if (zs_is_full(n_row, J, ZS_FULL_ROW) && n_out + n_row + ZS_SWEPT <= room) {
                    for (int64_t at = 0; at < J; at++) {
                        D_places[n_out] = at;
                        D_vals[n_out] = D_row[at];
                        n_out += D_seen[at];
                        D_row[at] = __builtin_inff();
                        D_seen[at] = 0;
                    }
                }
                else {
                    zs_sort_row(D_touched, n_row, D_seen, D_bits, J);
                    for (int64_t k_ = 0; k_ < n_row; k_++) {
                        const int64_t at = D_touched[k_];
                        const float sum = D_row[at];
                        D_row[at] = __builtin_inff();
                        D_seen[at] = 0;
                        if (n_out < room) {
                            D_places[n_out] = at;
                            D_vals[n_out] = sum;
                        }
                        n_out++;
                    }
                }
            }
        }
        D_ends[i + 1] = n_out;
    }
    return ZS_OK;
}
