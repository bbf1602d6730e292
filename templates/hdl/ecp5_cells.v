// What yosys' models of ECP5 leave out: DP16KD and MULT18X18D, as yosys maps memories and products
// to them (share/lattice/brams_map_16kd.v and dsp_map_18x18.v).
//
// Whatever is not modelled stops Verilator, by the name of a module that does not exist, or the
// simulation.

// A block of memory: both ports 1, 2, 4, 9 or 18 bits wide, or port A 36 bits that it writes and B
// any width that it reads. No output registers, resets, chip selects or inverted clocks.
//
// A port that writes keeps what it read, or reads what was there (READBEFOREWRITE).
//
// Rows of 36 bits are four bytes of 9; accesses of 1, 2 and 4 bits do not reach the ninth. What one
// port reads while the other one writes it is undefined: here every such bit is wrong.
module DP16KD (
    input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5,
    DIA4, DIA3, DIA2, DIA1, DIA0,
    input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1,
    ADA0,
    input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
    output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
    DOA4, DOA3, DOA2, DOA1, DOA0,
    input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5,
    DIB4, DIB3, DIB2, DIB1, DIB0,
    input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1,
    ADB0,
    input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
    output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
    DOB4, DOB3, DOB2, DOB1, DOB0
);
    parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
    parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
    parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
    parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
    parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB";
    parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC", GSR = "ENABLED"; // all one
    parameter [319:0]
        INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0,
        INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0,
        INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0,
        INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0,
        INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0,
        INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0, INITVAL_1C = 0, INITVAL_1D = 0,
        INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
        INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0,
        INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0,
        INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0, INITVAL_31 = 0,
        INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0,
        INITVAL_37 = 0, INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0,
        INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;
    localparam [64 * 320 - 1:0] INIT = {
        INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39,
        INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32,
        INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B,
        INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24,
        INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D,
        INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16,
        INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F,
        INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
        INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
        INITVAL_00
    };

    generate
        if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG") DP16KD_with_registers_is_not_modelled x();
        if (CSDECODE_A != "0b000" || CSDECODE_B != "0b000") DP16KD_CSDECODE_is_not_modelled x();
        if (CLKAMUX != "CLKA" || CLKBMUX != "CLKB") DP16KD_inverted_clock_is_not_modelled x();
        if (DATA_WIDTH_B == 36 && DATA_WIDTH_A != 36) DP16KD_width_is_not_modelled x();
    endgenerate

    wire [35:0] written_a, written_b, data_a, data_b;
    wire [35:0] out_a, out_b;
    wire [8:0] row_a, row_b;
    wire [13:0] at_a = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3,
        ADA2, ADA1, ADA0};
    wire [13:0] at_b = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3,
        ADB2, ADB1, ADB0};
    wire [17:0] in_a = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7,
        DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
    wire [17:0] in_b = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7,
        DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
    reg [35:0] rows [0:511];

    integer i;
    initial
        for (i = 0; i < 1024; i = i + 1)
            rows[i / 2][18 * (i % 2) +: 18] = INIT[320 * (i / 16) + 20 * (i % 16) +: 18];

    DP16KD_port #(DATA_WIDTH_A, WRITEMODE_A) a (
        .clock(CLKA), .enable(CEA), .write(WEA), .at(at_a), .in({in_b, in_a}),
        .row(row_a), .held(rows[row_a]), .written(written_a), .data(data_a),
        .other(row_a == row_b ? written_b : 36'd0), .out(out_a)
    );
    DP16KD_port #(DATA_WIDTH_B, WRITEMODE_B) b (
        .clock(CLKB), .enable(CEB), .write(WEB), .at(at_b), .in({18'd0, in_b}),
        .row(row_b), .held(rows[row_b]), .written(written_b), .data(data_b),
        .other(row_a == row_b ? written_a : 36'd0), .out(out_b)
    );
    always @(posedge CLKA) begin
        if (|written_a)
            rows[row_a] <= (rows[row_a] & ~written_a) | (data_a & written_a);
        if (RSTA | RSTB | CSA2 | CSA1 | CSA0 | CSB2 | CSB1 | CSB0)
            $fatal(1, "DP16KD: reset and chip select are not modelled");
        if (CEA & CEB & ~CLKB)
            $fatal(1, "DP16KD: two clocks are not modelled");
    end
    always @(posedge CLKB) begin
        if (|written_b)
            rows[row_b] <= (rows[row_b] & ~written_b) | (data_b & written_b);
        if (|written_a & |written_b)
            $fatal(1, "DP16KD: two ports that write at once are not modelled");
    end

    assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5,
        DOA4, DOA3, DOA2, DOA1, DOA0} = DATA_WIDTH_B == 36 ? out_b[17:0] : out_a[17:0];
    assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5,
        DOB4, DOB3, DOB2, DOB1, DOB0} = DATA_WIDTH_B == 36 ? out_b[35:18] : out_b[17:0];
endmodule

// `held`: the row of 36 bits at `row`. Of that, `written`: the bits that the port writes in this
// cycle, with `data`. `other`: those that the other port writes.
module DP16KD_port #(parameter WIDTH = 18, MODE = "NORMAL") (
    input clock, enable, write, input [13:0] at, input [35:0] in, held, other,
    output [8:0] row, output [35:0] written, data, output reg [35:0] out
);
    wire [5:0] low;
    wire [35:0] bytes;
    generate
        case (WIDTH)
            36: assign low = 0;
            18: assign low = 18 * at[4];
            9: assign low = 18 * at[4] + 9 * at[3];
            4: assign low = 18 * at[4] + 9 * at[3] + 4 * at[2];
            2: assign low = 18 * at[4] + 9 * at[3] + 2 * at[2:1];
            1: assign low = 18 * at[4] + 9 * at[3] + at[2:0];
            default: DP16KD_width_is_not_modelled x();
        endcase
        if (WIDTH >= 18) // the lowest bits of the address say which bytes are written
            assign bytes = {{9{at[3]}}, {9{at[2]}}, {9{at[1]}}, {9{at[0]}}};
        else
            assign bytes = ~36'd0;
        if (MODE != "NORMAL" && MODE != "READBEFOREWRITE")
            DP16KD_WRITEMODE_is_not_modelled x();
    endgenerate
    localparam [35:0] MASK = 36'hFFFFFFFFF >> (36 - WIDTH);

    assign row = at[13:5];
    assign data = in << low;
    assign written = enable & write ? (bytes & MASK) << low : 36'd0;
    always @(posedge clock)
        if (enable & ~write)
            out <= ((held ^ other) >> low) & MASK;
        else if (enable & write && MODE == "READBEFOREWRITE")
            out <= (held >> low) & MASK;
endmodule

// A product, without registers and cascades.
module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0,
    input B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0,
    input C17, C16, C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0,
    input SIGNEDA, SIGNEDB, SOURCEA, SOURCEB,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
    P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
);
    parameter REG_INPUTA_CLK = "NONE", REG_INPUTB_CLK = "NONE", REG_INPUTC_CLK = "NONE";
    parameter REG_PIPELINE_CLK = "NONE", REG_OUTPUT_CLK = "NONE";
    generate
        if (REG_INPUTA_CLK != "NONE" || REG_INPUTB_CLK != "NONE" || REG_INPUTC_CLK != "NONE"
                || REG_PIPELINE_CLK != "NONE" || REG_OUTPUT_CLK != "NONE")
            MULT18X18D_with_registers_is_not_modelled x();
    endgenerate
    wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1,
        A0};
    wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1,
        B0};
    wire signed [35:0] wide_a = {{18{SIGNEDA & a[17]}}, a};
    wire signed [35:0] wide_b = {{18{SIGNEDB & b[17]}}, b};
    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
        P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = wide_a * wide_b;
    always @*
        if (SOURCEA | SOURCEB)
            $fatal(1, "MULT18X18D: cascades are not modelled");
endmodule
