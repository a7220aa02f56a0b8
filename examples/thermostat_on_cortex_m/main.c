/* Heat in a rod whose left end follows a sensor; the other end is cold. Every step is audited, and the balance printed.
 *
 * A controller switches the heater, and with it the temperature of the left end, by the temperature in the middle.
 */
#include "pisnn.h"
#include "start.h"

#define CELLS PISNN_MEMBRANE_CELLS
#define STEPS 4000
#define HOT 60 /* of 64: parts of the largest value */
#define COLD 16

/* A simulated sensor: what a probe at the left end would read, in quanta. It moves a sixteenth of the way per step. */
static int32_t sensed(int32_t before, int is_on)
{
    const int32_t full = PISNN_LARGEST_BOUNDARY / 64;
    const int32_t target = (is_on ? HOT : COLD) * full;
    return before + (target - before) / 16;
}

static int64_t sum_of_cells(void)
{
    int64_t sum = 0;
    int n;
    for (n = 0; n < CELLS; n++) {
        sum += pisnn_membrane_mass[n];
    }
    return sum;
}

static void print(const char *name, int64_t number)
{
    write_text(name);
    write_number(number);
}

int main(void)
{
    struct pisnn_violation violation;
    int64_t at_start;
    int32_t end_value = 0;
    int switches = 0, is_on = 1, step;

    pisnn_reset();
    at_start = sum_of_cells();
    for (step = 1; step <= STEPS; step++) {
        const int32_t middle = pisnn_membrane_mass[CELLS / 2];
        const int was_on = is_on;
        if (middle > PISNN_LARGEST_BOUNDARY / 64 * 20) {
            is_on = 0;
        } else if (middle < PISNN_LARGEST_BOUNDARY / 64 * 16) {
            is_on = 1;
        }
        switches += is_on != was_on;
        end_value = sensed(end_value, is_on);
        if (pisnn_set_boundary(PISNN_LEFT, end_value)) {
            write_text("the sensor is out of range\n");
            return 1;
        }
        pisnn_step();
        if (pisnn_audit(&violation)) {
            print("violated: kind ", violation.kind);
            print(", population ", violation.population);
            print(", index ", violation.index);
            print(", step ", violation.step);
            write_text("\n");
            return 1;
        }
        if (step % 1000 == 0) {
            const int64_t inside = sum_of_cells();
            const int64_t left = pisnn_membrane_ledger[0], right = pisnn_membrane_ledger[1];
            print("step ", step);
            print(": inside ", inside);
            print(", left took ", left);
            print(", right took ", right);
            print(", lost ", at_start - inside - left - right);
            print(", switches ", switches);
            write_text("\n");
        }
    }
    return 0;
}
