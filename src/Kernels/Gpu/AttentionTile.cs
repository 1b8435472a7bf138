using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Rows of D channels of one head of one sample: learned slots first, then tokens. Outside their extents they are zero.</summary>
internal struct HeadRows
{
    public ArrayView<float> Tokens;
    public int TokenOffset;
    public int TokenStride;
    public ArrayView<float> Slots;
    public int SlotOffset;
    public int SlotStride;

    /// <summary>Values from one channel of a slot to the next.</summary>
    public int SlotStep;

    public int SlotCount;

    /// <summary>Slots and tokens.</summary>
    public int Count;

    public int D;

    /// <summary>Queries (0), keys (1) or values (2) of the tokens.</summary>
    public static HeadRows OfQkv(ArrayView<float> qkv, AttentionShape s, int n, int head, int part)
        => Of(qkv, (n * s.T * 3 * s.Width) + (part * s.Width) + (head * s.D), 3 * s.Width, s.T, s.D);

    /// <summary>The head's part of [N,T,Heads·D].</summary>
    public static HeadRows OfOutput(ArrayView<float> y, AttentionShape s, int n, int head)
        => Of(y, (n * s.T * s.Width) + (head * s.D), s.Width, s.T, s.D);

    /// <summary>The head's matrix of [N,Heads,D,D].</summary>
    public static HeadRows OfContext(ArrayView<float> context, AttentionShape s, int n, int head)
        => Of(context, ((n * s.Heads) + head) * s.D * s.D, s.D, s.D, s.D);

    /// <summary>These rows behind M slots.</summary>
    public readonly HeadRows Behind(ArrayView<float> slots, int offset, int stride, int step, int count)
    {
        var rows = this;
        rows.Slots = slots;
        rows.SlotOffset = offset;
        rows.SlotStride = stride;
        rows.SlotStep = step;
        rows.SlotCount = count;
        rows.Count = Count + count;
        return rows;
    }

    public readonly float Read(int row, int channel)
    {
        if (row >= Count || channel >= D)
            return 0;
        return row < SlotCount
            ? Slots[SlotOffset + (row * SlotStride) + (channel * SlotStep)]
            : Tokens[TokenOffset + ((row - SlotCount) * TokenStride) + channel];
    }

    /// <summary>Stores a gradient; 0 drops it, 1 overwrites, 2 adds.</summary>
    public readonly void Write(int row, int channel, float value, int tokenMode, int slotMode)
    {
        if (row >= Count || channel >= D)
            return;
        if (row < SlotCount)
            Store(Slots, SlotOffset + (row * SlotStride) + (channel * SlotStep), value, slotMode);
        else
            Store(Tokens, TokenOffset + ((row - SlotCount) * TokenStride) + channel, value, tokenMode);
    }

    private static HeadRows Of(ArrayView<float> tokens, int offset, int stride, int count, int d)
        => new() { Tokens = tokens, TokenOffset = offset, TokenStride = stride, Slots = tokens, Count = count, D = d };

    private static void Store(ArrayView<float> values, int offset, float value, int mode)
    {
        if (mode == 1)
            values[offset] = value;
        if (mode == 2)
            values[offset] += value;
    }
}

/// <summary>Which tile of which head a group computes: the grid counts channel chunks fastest, then row tiles, heads, samples.</summary>
internal struct HeadTile
{
    public int N;
    public int Head;
    public int FirstRow;
    public int FirstChannel;

    /// <param name="group">Index in the grid.</param>
    /// <param name="s">Sizes.</param>
    /// <param name="rows">Rows of a head that tiles cover.</param>
    /// <param name="channels">Channels that chunks cover; at most one chunk's worth for a group that computes all of them.</param>
    public static HeadTile Of(int group, AttentionShape s, int rows, int channels)
    {
        int chunks = AttentionTile.Tiles(channels), tiles = AttentionTile.Tiles(rows);
        int rest = group / chunks;
        int row = rest / tiles;
        int n = row / s.Heads;
        return new HeadTile
        {
            FirstChannel = (group - (rest * chunks)) << AttentionTile.Shift,
            FirstRow = (rest - (row * tiles)) << AttentionTile.Shift,
            Head = row - (n * s.Heads),
            N = n,
        };
    }

    /// <summary>Groups to launch.</summary>
    public static int Groups(AttentionShape s, int rows, int channels)
        => checked(AttentionTile.Tiles(channels) * AttentionTile.Tiles(rows) * s.Heads * s.N);
}

/// <summary>
/// The building blocks of attention: a group of 64 threads multiplies 32 × 32 tiles over a depth of 32.
/// </summary>
/// <remarks>A tile in shared memory is [32 depth][36] floats, 4,608 bytes (the padding keeps 16-byte alignment). Thread t sums rows
/// (t / 8)·4 + 0..3 × columns (t % 8)·4 + 0..3.</remarks>
internal static class AttentionTile
{
    public const int Threads = 64;
    public const int Size = 32;
    public const int Shift = 5;
    public const int Pitch4 = 9;
    public const int Pitch = 4 * Pitch4;

    /// <summary>Room for one tile, in units of four floats.</summary>
    public const int Room = Size * Pitch4;

    public static int Tiles(int extent) => (extent + Size - 1) >> Shift;

    /// <summary>tile[channel][row]: the channels are the depth.</summary>
    public static void LoadChannelsAsDepth(ArrayView<F4> tile, HeadRows rows, int firstRow, int firstChannel, int thread)
    {
        var floats = tile.Cast<float>();
        int channel = thread & 31;
        for (int row = thread >> 5; row < Size; row += 2)
            floats[(channel * Pitch) + row] = rows.Read(firstRow + row, firstChannel + channel);
    }

    /// <summary>tile[row][channel]: the rows are the depth.</summary>
    public static void LoadRowsAsDepth(ArrayView<F4> tile, HeadRows rows, int firstRow, int firstChannel, int thread)
    {
        var floats = tile.Cast<float>();
        int channel = thread & 31;
        for (int row = thread >> 5; row < Size; row += 2)
            floats[(row * Pitch) + channel] = rows.Read(firstRow + row, firstChannel + channel);
    }

    /// <summary>tile[column][row] from each thread's sums: the columns become the depth of the next product.</summary>
    public static void PutColumnsAsDepth(ArrayView<F4> tile, in Tile4x4 sums, int thread)
    {
        int at = ((thread & 7) * 4 * Pitch4) + (thread >> 3);
        tile[at] = new F4 { X = sums.R0.X, Y = sums.R1.X, Z = sums.R2.X, W = sums.R3.X };
        tile[at + Pitch4] = new F4 { X = sums.R0.Y, Y = sums.R1.Y, Z = sums.R2.Y, W = sums.R3.Y };
        tile[at + (2 * Pitch4)] = new F4 { X = sums.R0.Z, Y = sums.R1.Z, Z = sums.R2.Z, W = sums.R3.Z };
        tile[at + (3 * Pitch4)] = new F4 { X = sums.R0.W, Y = sums.R1.W, Z = sums.R2.W, W = sums.R3.W };
    }

    /// <summary>sum += left · right over one tile of depth.</summary>
    public static void AddProduct(ref Tile4x4 sum, ArrayView<F4> left, ArrayView<F4> right, int thread)
    {
        int row = thread >> 3, column = thread & 7;
        for (int k = 0; k < Size; k++)
        {
            Tile4x4.AddProduct(ref sum, left[row], right[column]);
            row += Pitch4;
            column += Pitch4;
        }
    }

    /// <summary>sum[i, j] += leftRows[i] · rightRows[j] over all channels. Begins with a barrier,
    /// so the tiles may be in use before.</summary>
    public static void AddInnerProducts(ref Tile4x4 sum, HeadRows leftRows, int firstLeft, HeadRows rightRows, int firstRight,
        ArrayView<F4> left, ArrayView<F4> right, int thread)
    {
        for (int channel = 0; channel < leftRows.D; channel += Size)
        {
            Group.Barrier();
            LoadChannelsAsDepth(left, leftRows, firstLeft, channel, thread);
            LoadChannelsAsDepth(right, rightRows, firstRight, channel, thread);
            Group.Barrier();
            AddProduct(ref sum, left, right, thread);
        }
    }

    /// <summary>The sum of each of four rows over the eight threads that share them, in their order.</summary>
    public static F4 SumOfRows(ArrayView<F4> scratch, F4 own, int thread)
    {
        scratch[((thread & 7) << 3) + (thread >> 3)] = own;
        Group.Barrier();
        F4 sum = default;
        for (int i = thread >> 3; i < Threads; i += 8)
            sum = F4.Add(sum, scratch[i]);
        return sum;
    }

    /// <summary>Stores the thread's sums as gradients of rows.</summary>
    public static void Write(HeadRows rows, int firstRow, int firstChannel, in Tile4x4 sums, int tokenMode, int slotMode, int thread)
    {
        int row = firstRow + ((thread >> 3) << 2), channel = firstChannel + ((thread & 7) << 2);
        WriteRow(rows, row, channel, sums.R0, tokenMode, slotMode);
        WriteRow(rows, row + 1, channel, sums.R1, tokenMode, slotMode);
        WriteRow(rows, row + 2, channel, sums.R2, tokenMode, slotMode);
        WriteRow(rows, row + 3, channel, sums.R3, tokenMode, slotMode);
    }

    private static void WriteRow(HeadRows rows, int row, int channel, F4 sums, int tokenMode, int slotMode)
    {
        rows.Write(row, channel, sums.X, tokenMode, slotMode);
        rows.Write(row, channel + 1, sums.Y, tokenMode, slotMode);
        rows.Write(row, channel + 2, sums.Z, tokenMode, slotMode);
        rows.Write(row, channel + 3, sums.W, tokenMode, slotMode);
    }
}
