#include "zs_kernel.h"
#include "zs_rows.h"
#include "zs_lists.h"

/*
 * O[x,y,m] = sum[r,s,c](F[r,s,c,m]*I[r+x,s+y,c]*V[x,y])
 * F: 0:U 1:U 2:U 3:U, float32
 * I: 0:C 1:C 2:U, float32
 * V: 0:C 1:C, float32
 * rows: x
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
    const int64_t *restrict V_x_pos = args->buf[7];
    const uint16_t *restrict V_x_crd = args->buf[8];
    const int64_t *restrict V_y_pos = args->buf[9];
    const uint16_t *restrict V_y_crd = args->buf[10];
    const int64_t *restrict I_level0_pos = args->buf[11];
    const uint16_t *restrict I_level0_crd = args->buf[12];
    const int64_t *restrict I_level1_pos = args->buf[13];
    const uint16_t *restrict I_level1_crd = args->buf[14];
    const float *restrict F_vals = args->buf[15];
    const float *restrict V_vals = args->buf[16];
    const float *restrict I_vals = args->buf[17];
    const int64_t Y = args->dim[0];
    const int64_t M = args->dim[1];
    const int64_t X = args->dim[2];
    const int64_t room = args->dim[3];
    const int64_t I_pad0 = args->dim[5];
    const int64_t R = args->dim[6];
    const int64_t I_pad1 = args->dim[8];
    const int64_t S = args->dim[9];
    const int64_t C = args->dim[10];

    for (int64_t x = 0; x < X; x++) {
        ZS_POLL(args);
        int64_t n_out = O_ends[x];
        int64_t most = 0;
        const int64_t pV_x = zs_locate_uint16(V_x_crd, V_x_pos[0], V_x_pos[1], x);
        if (pV_x >= 0) {
            for (int64_t pV_y = V_y_pos[pV_x]; pV_y < V_y_pos[pV_x + 1]; pV_y++) {
                const int64_t y = V_y_crd[pV_y];
                for (int64_t pI_level0 = zs_lower_bound_uint16(I_level0_crd, I_level0_pos[0], I_level0_pos[1], x - I_pad0); pI_level0 < I_level0_pos[1]; pI_level0++) {
                    const int64_t I_level0_at = I_level0_crd[pI_level0];
                    if (I_level0_at >= x - I_pad0 + R) {
                        break;
                    }
                    for (int64_t pI_level1 = zs_lower_bound_uint16(I_level1_crd, I_level1_pos[pI_level0], I_level1_pos[pI_level0 + 1], y - I_pad1); pI_level1 < I_level1_pos[pI_level0 + 1]; pI_level1++) {
                        const int64_t I_level1_at = I_level1_crd[pI_level1];
                        if (I_level1_at >= y - I_pad1 + S) {
                            break;
                        }
                        for (int64_t c = 0; c < C; c++) {
                            most += zs_max(M - 0, 0);
                        }
                    }
                }
            }
        }
        if (most <= zs_list_most(Y * M)) {
            ZS_ASK(O_places, O_vals, n_out + most, most);
            uint32_t keys[ZS_LIST + ZS_LIST_PAST];
            float listed[ZS_LIST + ZS_LIST_PAST];
            const int shift = zs_list_shift(Y * M);
            int64_t n_list = 0;
            const int64_t pV_x = zs_locate_uint16(V_x_crd, V_x_pos[0], V_x_pos[1], x);
            if (pV_x >= 0) {
                for (int64_t pV_y = V_y_pos[pV_x]; pV_y < V_y_pos[pV_x + 1]; pV_y++) {
                    const int64_t y = V_y_crd[pV_y];
                    ZS_POLL(args);
                    for (int64_t pI_level0 = zs_lower_bound_uint16(I_level0_crd, I_level0_pos[0], I_level0_pos[1], x - I_pad0); pI_level0 < I_level0_pos[1]; pI_level0++) {
                        const int64_t I_level0_at = I_level0_crd[pI_level0];
                        if (I_level0_at >= x - I_pad0 + R) {
                            break;
                        }
                        ZS_POLL(args);
                        const int64_t r = I_level0_at + I_pad0 - x;
                        for (int64_t pI_level1 = zs_lower_bound_uint16(I_level1_crd, I_level1_pos[pI_level0], I_level1_pos[pI_level0 + 1], y - I_pad1); pI_level1 < I_level1_pos[pI_level0 + 1]; pI_level1++) {
                            const int64_t I_level1_at = I_level1_crd[pI_level1];
                            if (I_level1_at >= y - I_pad1 + S) {
                                break;
                            }
                            ZS_POLL(args);
                            const int64_t s = I_level1_at + I_pad1 - y;
                            for (int64_t c = 0; c < C; c++) {
                                for (int64_t m = 0; m < M; m++) {
                                    const int64_t place = y * M + m;
                                    keys[n_list] = (uint32_t)place << shift | (uint32_t)n_list;
                                    listed[n_list] = 0 + (I_vals[pI_level1 * C + c] != 0 ? F_vals[((r * S + s) * C + c) * M + m] * I_vals[pI_level1 * C + c] * V_vals[pV_y] : 0);
                                    n_list++;
                                }
                            }
                        }
                    }
                }
            }
            zs_sort_keys(keys, n_list);
            int64_t pause = 0, next = 0;
            for (int64_t k = 0; k < n_list;) {
                if (k >= next && n_out + n_list - k + ZS_LIST_PAST <= room) {
                    const int64_t own = zs_list_copied4_uint16(
                        keys + k, n_list - k, shift, listed, O_places + n_out, O_vals + n_out);
                    n_out += own;
                    k += own;
                    if (k == n_list) {
                        break;
                    }
                    pause = own < ZS_LIST_RUN ? 2 * pause + ZS_LIST_RUN : 0;
                    next = k + pause;
                }
                const int64_t at = keys[k] >> shift;
                float sum = listed[keys[k] & (((uint32_t)1 << shift) - 1)];
                for (k++; k < n_list && keys[k] >> shift == at; k++) {
                    sum += listed[keys[k] & (((uint32_t)1 << shift) - 1)];
                }
                const float stored_ = sum;
                if (n_out < room) {
                    O_places[n_out] = at;
                    O_vals[n_out] = stored_;
                }
                n_out++;
            }
        }
        else {
            if (zs_is_swept(O_ends, x, Y * M, room, ZS_SWEPT_ROW)) {
                const int64_t before = O_ends[x] - O_ends[x - 1];
                const int64_t pV_x = zs_locate_uint16(V_x_crd, V_x_pos[0], V_x_pos[1], x);
                if (pV_x >= 0) {
                    for (int64_t pV_y = V_y_pos[pV_x]; pV_y < V_y_pos[pV_x + 1]; pV_y++) {
                        const int64_t y = V_y_crd[pV_y];
                        ZS_POLL(args);
                        for (int64_t pI_level0 = zs_lower_bound_uint16(I_level0_crd, I_level0_pos[0], I_level0_pos[1], x - I_pad0); pI_level0 < I_level0_pos[1]; pI_level0++) {
                            const int64_t I_level0_at = I_level0_crd[pI_level0];
                            if (I_level0_at >= x - I_pad0 + R) {
                                break;
                            }
                            ZS_POLL(args);
                            const int64_t r = I_level0_at + I_pad0 - x;
                            for (int64_t pI_level1 = zs_lower_bound_uint16(I_level1_crd, I_level1_pos[pI_level0], I_level1_pos[pI_level0 + 1], y - I_pad1); pI_level1 < I_level1_pos[pI_level0 + 1]; pI_level1++) {
                                const int64_t I_level1_at = I_level1_crd[pI_level1];
                                if (I_level1_at >= y - I_pad1 + S) {
                                    break;
                                }
                                ZS_POLL(args);
                                const int64_t s = I_level1_at + I_pad1 - y;
                                for (int64_t c = 0; c < C; c++) {
                                    for (int64_t m = 0; m < M; m++) {
                                        const int64_t place = y * M + m;
                                        O_seen[place] = 1;
                                        O_row[place] += (I_vals[pI_level1 * C + c] != 0 ? F_vals[((r * S + s) * C + c) * M + m] * I_vals[pI_level1 * C + c] * V_vals[pV_y] : 0);
                                    }
                                }
                            }
                        }
                    }
                }
                n_out = zs_sweep4_uint16(O_row, O_seen, O_places, O_vals, n_out, Y * M, before);
            }
            else {
                int64_t n_row = 0;
                const int64_t pV_x = zs_locate_uint16(V_x_crd, V_x_pos[0], V_x_pos[1], x);
                if (pV_x >= 0) {
                    for (int64_t pV_y = V_y_pos[pV_x]; pV_y < V_y_pos[pV_x + 1]; pV_y++) {
                        const int64_t y = V_y_crd[pV_y];
                        ZS_POLL(args);
                        for (int64_t pI_level0 = zs_lower_bound_uint16(I_level0_crd, I_level0_pos[0], I_level0_pos[1], x - I_pad0); pI_level0 < I_level0_pos[1]; pI_level0++) {
                            const int64_t I_level0_at = I_level0_crd[pI_level0];
                            if (I_level0_at >= x - I_pad0 + R) {
                                break;
                            }
                            ZS_POLL(args);
                            const int64_t r = I_level0_at + I_pad0 - x;
                            for (int64_t pI_level1 = zs_lower_bound_uint16(I_level1_crd, I_level1_pos[pI_level0], I_level1_pos[pI_level0 + 1], y - I_pad1); pI_level1 < I_level1_pos[pI_level0 + 1]; pI_level1++) {
                                const int64_t I_level1_at = I_level1_crd[pI_level1];
                                if (I_level1_at >= y - I_pad1 + S) {
                                    break;
                                }
                                ZS_POLL(args);
                                const int64_t s = I_level1_at + I_pad1 - y;
                                for (int64_t c = 0; c < C; c++) {
                                    for (int64_t m = 0; m < M; m++) {
                                        const int64_t place = y * M + m;
                                        O_touched[n_row] = place;
                                        n_row += !O_seen[place];
                                        O_seen[place] = 1;
                                        O_row[place] += (I_vals[pI_level1 * C + c] != 0 ? F_vals[((r * S + s) * C + c) * M + m] * I_vals[pI_level1 * C + c] * V_vals[pV_y] : 0);
                                    }
                                }
                            }
                        }
                    }
                }
                if (zs_is_full(n_row, Y * M, ZS_SWEPT_ROW) && n_out + n_row + ZS_SWEPT <= room) {
                    n_out = zs_sweep4_uint16(O_row, O_seen, O_places, O_vals, n_out, Y * M, n_row);
                }
                else {
                    zs_sort_row(O_touched, n_row, O_seen, O_bits, Y * M);
                    for (int64_t k = 0; k < n_row; k++) {
                        const int64_t at = O_touched[k];
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
        }
        O_ends[x + 1] = n_out;
    }
    return ZS_OK;
}
