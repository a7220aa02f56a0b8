/* A hand-written C comparator for the `fast` backend: the heat2d integers of the zoo on an N x N periodic grid, specialised to its kernel
   (weights 2,-2,2 / 3,8,3 / 16,50,16 on three distances, threshold 2^8), with the audit of I1, I2, I3, ranges and widths on stored values.
   `benchmarks/peers.py` compiles and runs it: heat2d N STEPS audit. It prints millions of cells per second of processor time, of one core. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
typedef int32_t i32; typedef int16_t i16;
enum { PAD = 16 };
static int N;
static inline int wrap(int y) { return (y + N) % N; }
static void pqr_x(const i32 *restrict up, const i32 *restrict c, const i32 *restrict dn, i32 *restrict P, i32 *restrict Q, i32 *restrict R) {
  for (int x = 0; x < N; x++) { i32 s = up[x] + dn[x], v = c[x]; P[x] = 2 * (s - v); Q[x] = 3 * s + 8 * v; R[x] = 16 * s + 50 * v; }
  for (int x = 0; x < 4; x++) { P[N + x] = P[x]; Q[N + x] = Q[x]; R[N + x] = R[x]; P[-1 - x] = P[N - 1 - x]; Q[-1 - x] = Q[N - 1 - x]; R[-1 - x] = R[N - 1 - x]; }
}
static void pqr_y(const i32 *restrict c, i32 *restrict P, i32 *restrict Q, i32 *restrict R) {
  for (int x = 1; x < N - 1; x++) { i32 s = c[x - 1] + c[x + 1], v = c[x]; P[x] = 2 * (s - v); Q[x] = 3 * s + 8 * v; R[x] = 16 * s + 50 * v; }
  for (int e = 0; e < 2; e++) { int x = e ? N - 1 : 0; i32 s = c[wrap(x - 1)] + c[wrap(x + 1)], v = c[x]; P[x] = 2 * (s - v); Q[x] = 3 * s + 8 * v; R[x] = 16 * s + 50 * v; }
}
static void drive(const i32 *restrict a, const i32 *restrict f, const i32 *restrict b, const i32 *restrict e, const i32 *restrict c, const i32 *restrict d, i32 *restrict out) {
  for (int x = 0; x < N; x++) out[x] = a[x] - f[x] + b[x] - e[x] + c[x] - d[x];
}
static void fire(const i32 *restrict d, i16 *restrict r, i16 *restrict old, i32 *restrict t, i32 *restrict k) {
  for (int x = 0; x < N; x++) {
    i32 n = (i32)r[x] + d[x], s = n >> 31, a = (n ^ s) - s, q = (a + 127) >> 8, p = (q ^ s) - s;
    old[x] = r[x]; k[x] = p; r[x] = (i16)(n - p * 256); t[x] += p;
  }
}
static int audit_face(const i32 *restrict d, const i16 *restrict r, const i16 *restrict old, const i32 *restrict k) {
  i32 wrong = 0, top = 0, widest = 0;
  for (int x = 0; x < N; x++) {
    i32 v = r[x], av = v < 0 ? -v : v, ad = d[x] < 0 ? -d[x] : d[x];
    wrong |= (k[x] * 256 + v - old[x]) ^ d[x]; top = ad > top ? ad : top; widest = av > widest ? av : widest;
  }
  return wrong != 0 || widest > 128 || top > (1 << 23);
}
static void exchange(const i32 *restrict m, const i32 *restrict kx, const i32 *restrict up, const i32 *restrict ky, i32 *restrict out) {
  for (int x = 0; x < N; x++) out[x] = m[x] + kx[x - 1] - kx[x] + up[x] - ky[x];
}
static int audit_cells(const i32 *restrict m, const i32 *restrict kx, const i32 *restrict up, const i32 *restrict ky, const i32 *restrict out, int64_t *sum) {
  i32 wrong = 0, lo = out[0], hi = out[0]; int64_t s = 0;
  for (int x = 0; x < N; x++) {
    i32 v = out[x]; wrong |= (v - m[x]) ^ (kx[x - 1] - kx[x] + up[x] - ky[x]); lo = v < lo ? v : lo; hi = v > hi ? v : hi; s += v;
  }
  *sum += s; return wrong != 0 || lo < 0 || hi > 4194304;
}
int main(int argc, char **argv) {
  N = argc > 1 ? atoi(argv[1]) : 1024; int steps = argc > 2 ? atoi(argv[2]) : 100, audited = argc > 3; size_t n = (size_t)N * N;
  i32 *m = malloc(n * 4), *w = malloc(n * 4), *tx = calloc(n, 4), *ty = calloc(n, 4); i16 *rx = calloc(n, 2), *ry = calloc(n, 2);
  i32 *buf = malloc(sizeof(i32) * (size_t)(N + 2 * PAD) * 32), *row[32]; i16 *ox = malloc(2 * N), *oy = malloc(2 * N);
  for (int i = 0; i < 32; i++) row[i] = buf + PAD + (size_t)i * (N + 2 * PAD);
  i32 *P = row[0], *Q = row[1], *R = row[2], *dx = row[3], *dy = row[4], *kx = row[5], *ky = row[6], *last = row[7], *first = row[8];
  i32 **Py = row + 9, **Qy = row + 16, **Ry = row + 23; /* rings of 7 rows */
  uint32_t z = 1; int64_t total = 0;
  for (size_t i = 0; i < n; i++) { z = z * 1664525u + 1013904223u; m[i] = 2097152 + (i32)(z >> 22); total += m[i]; }
  int flags = 0; struct timespec a, b; clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  for (int s = 0; s < steps; s++) {
    int64_t sum = 0;
    for (int y = -3; y < 3; y++) pqr_y(m + (size_t)wrap(y) * N, Py[(y + 7) % 7], Qy[(y + 7) % 7], Ry[(y + 7) % 7]);
    /* packets of the face above row 0 come from row N-1: computed once, its state is advanced when the sweep gets there */
    for (int y = -1; y < N; y++) {
      pqr_y(m + (size_t)wrap(y + 3) * N, Py[(y + 10) % 7], Qy[(y + 10) % 7], Ry[(y + 10) % 7]);
      int b0 = y + 7; drive(Py[(b0 - 2) % 7], Py[(b0 + 3) % 7], Qy[(b0 - 1) % 7], Qy[(b0 + 2) % 7], Ry[b0 % 7], Ry[(b0 + 1) % 7], dy);
      if (y < 0) { i16 *r = ry + (size_t)(N - 1) * N; for (int x = 0; x < N; x++) { i32 v = r[x] + dy[x], g = v >> 31, q = (((v ^ g) - g) + 127) >> 8; last[x] = (q ^ g) - g; } continue; }
      const i32 *c = m + (size_t)y * N; size_t o = (size_t)y * N;
      pqr_x(m + (size_t)wrap(y - 1) * N, c, m + (size_t)wrap(y + 1) * N, P, Q, R);
      drive(P - 2, P + 3, Q - 1, Q + 2, R, R + 1, dx);
      fire(dx, rx + o, ox, tx + o, kx); kx[-1] = kx[N - 1];
      fire(dy, ry + o, oy, ty + o, ky);
      exchange(c, kx, last, ky, w + o);
      if (audited) { flags |= audit_face(dx, rx + o, ox, kx) | audit_face(dy, ry + o, oy, ky) | audit_cells(c, kx, last, ky, w + o, &sum); }
      i32 *t = last; last = ky; ky = t;
    }
    if (audited && sum != total) flags |= 2;
    i32 *t = m; m = w; w = t;
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  int64_t end = 0; for (size_t i = 0; i < n; i++) end += m[i];
  double sec = (b.tv_sec - a.tv_sec) + 1e-9 * (b.tv_nsec - a.tv_nsec);
  printf("%.0f M cell updates/s, drift %lld, flags %d\n", (double)n * steps / sec / 1e6, (long long)(end - total), flags);
  (void)first; return flags != 0 || end != total;
}
