"""Texts of generated files."""

from string import Template

BENCH = Template("""// Runs $steps PDE steps and compares the hash of all their integers with that of the reference.
`timescale 1ns / 1ns
module bench;
    reg clk = 0, reset = 1, step = 0;
    wire busy;
    reg [63:0] hash = 64'hcbf29ce484222325;
    integer n, steps;
    pisnn dut (.clk(clk), .reset(reset), .step(step), .busy(busy)$ends);

    always #5 clk = ~clk;

    task hashed(input signed [63:0] number);
        hash = (hash ^ number) * 64'h100000001b3;
    endtask

    initial begin
        @(negedge clk); @(negedge clk);
        reset = 0;
        for (steps = 0; steps < $steps; steps = steps + 1) begin
            step = 1;
            #1; // what is sent settles
$during
            @(negedge clk);
            step = 0;
            while (busy) @(negedge clk);
$after
        end
        if (hash == 64'h$hash) $$display("equal after %0d PDE steps", steps);
        else begin
            $$display("differs after %0d PDE steps", steps);
            $$fatal;
        end
        $$finish;
    end
endmodule
""")
MAKE = Template("""# Needs Icarus Verilog or Verilator for the test, and yosys for the sizes.
test: bench
	./bench

bench: pisnn.v bench.v
	iverilog -g2005-sv -o $$@ pisnn.v bench.v

size:
	yosys -q -p "read_verilog pisnn.v chip.v; synth_ice40 -dsp -top chip -json chip.json; stat"

clock: size
	nextpnr-ice40 --up5k --package sg48 --pcf-allow-unconstrained --json chip.json --asc chip.asc

.PHONY: clock test size
""")
CHIP = Template("""// The network behind few pins: a register that is shifted in and out holds field, address and mass.
module chip (
    input wire clk, reset, step,
    input wire shift, data_in, write, read,
    output wire busy, data_out
);
    reg [$top:0] word;
$wires
    reg signed [$data_top:0] value;
    always @* case (word[$top:$field_low])
$values
    endcase
    always @(posedge clk) begin
        if (shift) word <= {word[$below_top:0], data_in};
        else if (read) word[$data_top:0] <= value;
    end
    assign data_out = word[$top];
    pisnn network (.clk(clk), .reset(reset), .step(step), .busy(busy)$ends);
endmodule
""")
