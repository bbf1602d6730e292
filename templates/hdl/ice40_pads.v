// Pads that only receive or only send are wires, for yosys' techmap. SB_IO joins both directions in
// one port, and Verilator takes none such for an input of the module.
module SB_IO (
    inout PACKAGE_PIN,
    input LATCH_INPUT_VALUE, CLOCK_ENABLE, INPUT_CLK, OUTPUT_CLK, OUTPUT_ENABLE, D_OUT_0, D_OUT_1,
    output D_IN_0, D_IN_1
);
    parameter PIN_TYPE = 0, PULLUP = 0, NEG_TRIGGER = 0, IO_STANDARD = "";
    generate
        if (PIN_TYPE == 6'b000001)
            assign D_IN_0 = PACKAGE_PIN;
        else if (PIN_TYPE == 6'b011001)
            assign PACKAGE_PIN = D_OUT_0;
        else
            wire _TECHMAP_FAIL_ = 1;
    endgenerate
endmodule
