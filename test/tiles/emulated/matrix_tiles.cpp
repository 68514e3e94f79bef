// Executes the instructions for matrix tiles (AMX) on processors that have none: there, each is an illegal instruction, and
// the handler of that signal does in plain C++ what it says. Kernels run as they were compiled, instruction by instruction.
// What a processor with such instructions would refuse is kept in `violation`. For one thread.
#include <signal.h>
#include <ucontext.h>

#include <cstdint>
#include <cstring>

namespace {

constexpr int kTiles = 8, kRows = 16, kRowBytes = 64;

struct Tile {
    int rows, row_bytes;
    uint8_t bytes[kRows][kRowBytes];
};

Tile tiles[kTiles];
bool is_set_up = false;
const char* violation = "";

void require(bool is_right, const char* rule) {
    if (!is_right && !*violation) violation = rule;
}

// The settings are 64 bytes: palette, first row, 14 zeros; 16 times the bytes of a row, uint16; 16 times the rows.
void set_up(const uint8_t* settings) {
    uint16_t row_bytes[16];
    memcpy(row_bytes, settings + 16, sizeof row_bytes);
    const uint8_t* rows = settings + 48;
    require(settings[0] == 1, "the palette is 1");
    for (int i = 1; i < 16; ++i) require(settings[i] == 0, "the first row and the reserved bytes are 0");
    for (int i = 0; i < 16; ++i) {
        require(i < kTiles || (!rows[i] && !row_bytes[i]), "there are eight tiles");
        require(!rows[i] == !row_bytes[i], "a tile has rows and bytes, or neither");
        require(rows[i] <= kRows && row_bytes[i] <= kRowBytes, "a tile has at most 16 rows of 64 bytes");
    }
    memset(tiles, 0, sizeof tiles);
    for (int i = 0; i < kTiles; ++i) {
        tiles[i].rows = rows[i] < kRows ? rows[i] : kRows;
        tiles[i].row_bytes = row_bytes[i] < kRowBytes ? row_bytes[i] : kRowBytes;
    }
    is_set_up = true;
}

Tile& find(int number) {
    require(is_set_up, "tiles are set up before they are used");
    require(tiles[number].rows > 0, "a tile that is used has rows");
    return tiles[number];
}

void load_tile(int number, const uint8_t* from, int64_t pitch) {
    Tile& tile = find(number);
    memset(tile.bytes, 0, sizeof tile.bytes);
    for (int row = 0; row < tile.rows; ++row) memcpy(tile.bytes[row], from + row * pitch, tile.row_bytes);
}

void store_tile(int number, uint8_t* to, int64_t pitch) {
    const Tile& tile = find(number);
    for (int row = 0; row < tile.rows; ++row) memcpy(to + row * pitch, tile.bytes[row], tile.row_bytes);
}

// To the int32 of each row of `values` and each column of four bytes of `weights`, adds the products of the row's bytes,
// which are unsigned, with the column's, which are signed.
void add_products(int sums_number, int values_number, int weights_number) {
    Tile &sums = find(sums_number), &values = find(values_number), &weights = find(weights_number);
    require(sums_number != values_number && sums_number != weights_number && values_number != weights_number,
            "a product has three different tiles");
    require(sums.rows == values.rows && sums.row_bytes == weights.row_bytes && values.row_bytes == 4 * weights.rows,
            "the tiles of a product fit");
    for (int row = 0; row < sums.rows; ++row)
        for (int column = 0; column < sums.row_bytes / 4; ++column) {
            uint32_t sum;
            memcpy(&sum, sums.bytes[row] + 4 * column, sizeof sum);
            for (int j = 0; j < values.row_bytes; ++j)
                sum += (uint32_t)(values.bytes[row][j] * (int8_t)weights.bytes[j / 4][4 * column + j % 4]);
            memcpy(sums.bytes[row] + 4 * column, &sum, sizeof sum);
        }
}

// One instruction, as its bytes say: C4, two bytes of prefix, opcode, operands.
struct Instruction {
    const uint8_t* start;
    const greg_t* registers;
    int length = 0;

    int bits(int byte, int first, int count) const { return start[byte] >> first & ((1 << count) - 1); }
    // The prefix keeps bit 3 of a register's number inverted.
    int64_t value(int number, int inverted_bit) const {
        static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                    REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
        return registers[order[number + (bits(1, inverted_bit, 1) ? 0 : 8)]];
    }
    int kind() const { return start[3] << 2 | bits(2, 0, 2); }  // opcode and implied prefix: 0: none, 1: 66, 2: F3, 3: F2
    int mode() const { return bits(4, 6, 2); }
    int first_operand() const { return bits(4, 3, 3); }
    int second_operand() const { return bits(4, 0, 3); }
    int third_operand() const { return ~bits(2, 3, 4) & 7; }

    // The address in memory, and what is added from row to row; sets the length.
    uint8_t* address(int64_t& pitch) {
        int64_t at = 0, far = 0;
        int8_t near;
        pitch = 0;
        length = 5;
        bool is_absolute = false, is_relative = false;
        if (second_operand() == 4) {
            const int base = bits(5, 0, 3), index = bits(5, 3, 3);
            length = 6;
            is_absolute = base == 5 && mode() == 0;
            if (!is_absolute) at = value(base, 5);
            if (index != 4 || !bits(1, 6, 1)) pitch = value(index, 6) << bits(5, 6, 2);
        } else {
            is_relative = second_operand() == 5 && mode() == 0;
            if (!is_relative) at = value(second_operand(), 5);
        }
        if (mode() == 2 || is_absolute || is_relative) {
            int32_t distance;
            memcpy(&distance, start + length, sizeof distance);
            far = distance;
            length += 4;
        } else if (mode() == 1) {
            memcpy(&near, start + length, sizeof near);
            far = near;
            length += 1;
        }
        if (is_relative) at = (int64_t)(start + length);
        return (uint8_t*)(at + far);
    }

    // Returns whether it is one of the instructions for tiles.
    bool execute() {
        if (start[0] != 0xc4 || bits(1, 0, 5) != 2 || bits(2, 7, 1) || bits(2, 2, 1)) return false;
        int64_t pitch = 0;
        length = 5;
        if (kind() == (0x49 << 2) && mode() == 3) {
            memset(tiles, 0, sizeof tiles);
            is_set_up = false;
        } else if (kind() == (0x49 << 2)) {
            set_up(address(pitch) + pitch);
        } else if (kind() == (0x4b << 2 | 3)) {
            const uint8_t* from = address(pitch);
            load_tile(first_operand(), from, pitch);
        } else if (kind() == (0x4b << 2 | 2)) {
            uint8_t* to = address(pitch);
            store_tile(first_operand(), to, pitch);
        } else if (kind() == (0x5e << 2 | 1) && mode() == 3) {
            add_products(first_operand(), second_operand(), third_operand());
        } else {
            return false;
        }
        return true;
    }
};

struct sigaction before;

void handle(int, siginfo_t*, void* context) {
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    Instruction instruction = {(const uint8_t*)registers[REG_RIP], registers};
    if (instruction.execute())
        registers[REG_RIP] += instruction.length;
    else
        sigaction(SIGILL, &before, nullptr);
}

__attribute__((constructor)) void install() {
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &before);
}

}  // namespace

// The first rule of the processor that a kernel broke; empty if none.
extern "C" __attribute__((visibility("default"))) const char* find_violation() { return violation; }

extern "C" __attribute__((visibility("default"))) bool are_tiles_released() { return !is_set_up; }
