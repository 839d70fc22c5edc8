#include "zs_kernel.h"
#include "zs_rows.h"
#include "zs_lists.h"

/*
 * C[i,j] = sum[k](A[i,k]*B[k,j])
 * A: 0:U 1:C, float32
 * B: 0:U 1:C, float32
 * rows: i
 */
int32_t zs_kernel(zs_args *args)
{
    if (zs_check_version(args) != ZS_OK) {
        return args->error;
    }
    float *restrict C_vals = args->buf[0];
    float *restrict C_row = args->buf[1];
    uint8_t *restrict C_seen = args->buf[2];
    int64_t *restrict C_touched = args->buf[3];
    uint64_t *restrict C_bits = args->buf[4];
    int64_t *restrict C_ends = args->buf[5];
    uint16_t *restrict C_places = args->buf[6];
    const int64_t *restrict A_k_pos = args->buf[7];
    const uint16_t *restrict A_k_crd = args->buf[8];
    const int64_t *restrict B_j_pos = args->buf[9];
    const uint16_t *restrict B_j_crd = args->buf[10];
    const float *restrict A_vals = args->buf[11];
    const float *restrict B_vals = args->buf[12];
    const int64_t J = args->dim[0];
    const int64_t I = args->dim[1];
    const int64_t room = args->dim[2];
    const int64_t A_stored = args->dim[4];
    const int64_t B_stored = args->dim[5];

    for (int64_t i = 0; i < I; i++) {
        ZS_POLL(args);
        int64_t n_out = C_ends[i];
        int64_t most = 0;
        for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
            const int64_t k = A_k_crd[pA_k];
            most += B_j_pos[k + 1] - B_j_pos[k];
        }
        if (most <= zs_list_most(J)) {
            ZS_ASK(C_places, C_vals, n_out + most, most);
            uint32_t keys[ZS_LIST + ZS_LIST_PAST];
            float listed[ZS_LIST + ZS_LIST_PAST];
            const int shift = zs_list_shift(J);
            int64_t n_list = 0;
            for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                const int64_t k = A_k_crd[pA_k];
                if (pA_k + 16 < A_stored) {
                    __builtin_prefetch(B_j_pos + A_k_crd[pA_k + 16]);
                    const int64_t coming = B_j_pos[A_k_crd[pA_k + 8]];
                    __builtin_prefetch(B_j_crd + coming);
                    __builtin_prefetch(B_vals + coming);
                }
                ZS_POLL(args);
                int64_t pB_j_first = B_j_pos[k];
                const int64_t pB_j_end = B_j_pos[k + 1];
                for (; pB_j_first < pB_j_end && pB_j_first + ZS_LIST_PAST <= B_stored; pB_j_first += ZS_LIST_PAST) {
                    for (int e = 0; e < ZS_LIST_PAST; e++) {
                        const int64_t pB_j = pB_j_first + e;
                        const int64_t j = B_j_crd[pB_j];
                        keys[(n_list + e)] = (uint32_t)j << shift | (uint32_t)(n_list + e);
                        listed[(n_list + e)] = 0 + A_vals[pA_k] * B_vals[pB_j];
                    }
                    const int64_t found = zs_min(pB_j_end - pB_j_first, ZS_LIST_PAST);
                    n_list += found;
                }
                for (int64_t pB_j = pB_j_first; pB_j < pB_j_end; pB_j++) {
                    const int64_t j = B_j_crd[pB_j];
                    const int64_t place = j;
                    keys[n_list] = (uint32_t)place << shift | (uint32_t)n_list;
                    listed[n_list] = 0 + A_vals[pA_k] * B_vals[pB_j];
                    n_list++;
                }
            }
            zs_sort_keys(keys, n_list);
            int64_t pause = 0, next = 0;
            for (int64_t k_ = 0; k_ < n_list;) {
                if (k_ >= next && n_out + n_list - k_ + ZS_LIST_PAST <= room) {
                    const int64_t own = zs_list_copied4_uint16(
                        keys + k_, n_list - k_, shift, listed, C_places + n_out, C_vals + n_out);
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
                    sum += listed[keys[k_] & (((uint32_t)1 << shift) - 1)];
                }
                const float stored_ = sum;
                if (n_out < room) {
                    C_places[n_out] = at;
                    C_vals[n_out] = stored_;
                }
                n_out++;
            }
        }
        else {
            if (zs_is_swept(C_ends, i, J, room, ZS_SWEPT_ROW)) {
                const int64_t before = C_ends[i] - C_ends[i - 1];
                int64_t asked = 0;
                for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                    const int64_t k = A_k_crd[pA_k];
                    if (pA_k + 16 < A_stored) {
                        __builtin_prefetch(B_j_pos + A_k_crd[pA_k + 16]);
                        const int64_t coming = B_j_pos[A_k_crd[pA_k + 8]];
                        __builtin_prefetch(B_j_crd + coming);
                        __builtin_prefetch(B_vals + coming);
                    }
                    ZS_POLL(args);
                    int64_t pB_j_at = B_j_pos[k];
                    const int64_t pB_j_end = B_j_pos[k + 1];
                    if (asked < before) {
                        ZS_ASK(C_places, C_vals, n_out + asked, zs_min(pB_j_end - pB_j_at, before - asked));
                        asked += pB_j_end - pB_j_at;
                    }
                    for (; pB_j_at + 4 <= pB_j_end; pB_j_at += 4) {
                        int64_t places[4];
                        float sums[4];
                        #pragma GCC unroll 4
                        for (int e = 0; e < 4; e++) {
                            const int64_t pB_j = pB_j_at + e;
                            const int64_t j = B_j_crd[pB_j];
                            places[e] = j;
                            sums[e] = C_row[j] + A_vals[pA_k] * B_vals[pB_j];
                        }
                        #pragma GCC unroll 4
                        for (int e = 0; e < 4; e++) {
                            C_seen[places[e]] = 1;
                            C_row[places[e]] = sums[e];
                        }
                    }
                    for (int64_t pB_j = pB_j_at; pB_j < pB_j_end; pB_j++) {
                        const int64_t j = B_j_crd[pB_j];
                        const int64_t place = j;
                        C_seen[place] = 1;
                        C_row[place] += A_vals[pA_k] * B_vals[pB_j];
                    }
                }
                n_out = zs_sweep4_uint16(C_row, C_seen, C_places, C_vals, n_out, J, before);
            }
            else {
                int64_t n_row = 0;
                for (int64_t pA_k = A_k_pos[i]; pA_k < A_k_pos[i + 1]; pA_k++) {
                    const int64_t k = A_k_crd[pA_k];
                    if (pA_k + 16 < A_stored) {
                        __builtin_prefetch(B_j_pos + A_k_crd[pA_k + 16]);
                        const int64_t coming = B_j_pos[A_k_crd[pA_k + 8]];
                        __builtin_prefetch(B_j_crd + coming);
                        __builtin_prefetch(B_vals + coming);
                    }
                    ZS_POLL(args);
                    for (int64_t pB_j = B_j_pos[k]; pB_j < B_j_pos[k + 1]; pB_j++) {
                        const int64_t j = B_j_crd[pB_j];
                        const int64_t place = j;
                        C_touched[n_row] = place;
                        n_row += !C_seen[place];
                        C_seen[place] = 1;
                        C_row[place] += A_vals[pA_k] * B_vals[pB_j];
                    }
                }
                if (zs_is_full(n_row, J, ZS_SWEPT_ROW) && n_out + n_row + ZS_SWEPT <= room) {
                    n_out = zs_sweep4_uint16(C_row, C_seen, C_places, C_vals, n_out, J, n_row);
                }
                else {
                    zs_sort_row(C_touched, n_row, C_seen, C_bits, J);
                    for (int64_t k_ = 0; k_ < n_row; k_++) {
                        const int64_t at = C_touched[k_];
                        const float sum = C_row[at];
                        C_row[at] = 0;
                        C_seen[at] = 0;
                        if (n_out < room) {
                            C_places[n_out] = at;
                            C_vals[n_out] = sum;
                        }
                        n_out++;
                    }
                }
            }
        }
        C_ends[i + 1] = n_out;
    }
    return ZS_OK;
}
