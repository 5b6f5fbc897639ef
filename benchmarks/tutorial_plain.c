/* The tutorial's network as a C programmer would write it, with the platform's exp; biases are not
 * trained. Usage: tutorial_plain UPDATES ROUNDS; prints the seconds of each round, then the error.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double squash(double z) { return 1.0 / (1.0 + exp(-z)); }

/* The error after so many updates. Shapes: x, h (2), o, t (2), W1, W2 (2, 2), inputs by outputs. */
static double train(long updates) {
    double W1[2][2] = {{0.15, 0.25}, {0.20, 0.30}}, W2[2][2] = {{0.40, 0.50}, {0.45, 0.55}};
    const double b1 = 0.35, b2 = 0.60, lr = 0.5, x[2] = {0.05, 0.10}, t[2] = {0.01, 0.99};
    double h[2], o[2], delta_o[2], delta_h[2];
    for (long n = 0;; n++) {
        for (int j = 0; j < 2; j++)
            h[j] = squash(x[0] * W1[0][j] + x[1] * W1[1][j] + b1);
        for (int j = 0; j < 2; j++)
            o[j] = squash(h[0] * W2[0][j] + h[1] * W2[1][j] + b2);
        if (n == updates)
            return 0.5 * ((t[0] - o[0]) * (t[0] - o[0]) + (t[1] - o[1]) * (t[1] - o[1]));
        for (int j = 0; j < 2; j++)
            delta_o[j] = (o[j] - t[j]) * (o[j] * (1.0 - o[j]));
        for (int i = 0; i < 2; i++)
            delta_h[i] = (delta_o[0] * W2[i][0] + delta_o[1] * W2[i][1]) * (h[i] * (1.0 - h[i]));
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) {
                W2[i][j] -= lr * (h[i] * delta_o[j]);
                W1[i][j] -= lr * (x[i] * delta_h[j]);
            }
    }
}

int main(int count, char **arguments) {
    double error = 0.0;
    if (count != 3)
        return 2;
    for (int round = atoi(arguments[2]); round > 0; round--) {
        double began = seconds();
        error = train(atol(arguments[1]));
        printf("%.9f\n", seconds() - began);
    }
    printf("%.17g\n", error);
    return 0;
}
