namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>An operand of a warpgroup's matrix instruction in shared memory.</summary>
/// <remarks>PTX ISA, "Asynchronous Warpgroup Level Matrix Shared Memory Layout" and "Matrix Descriptor Format": bits 0-13 start address,
/// 16-29 leading dimension byte offset, 32-45 stride dimension byte offset, all in units of 16 bytes, 49-51 base offset, 62-63 swizzle of
/// 128, 64 or 32 bytes (1, 2, 3). An atom has 8 rows of as many bytes as the swizzle, in which pieces of 16 bytes change places by the
/// address itself. With the depth along the rows (K-major) atoms follow each other along the lines by the stride; with the lines along the
/// rows (MN-major) along the depth by the stride and along the lines by the leading offset.</remarks>
internal readonly struct MatrixDescriptor
{
    private readonly ulong _start;
    private readonly ulong _leading;
    private readonly ulong _stride;
    private readonly int _swizzleBits;

    public MatrixDescriptor(ulong bits)
    {
        (_start, _leading, _stride) = ((bits & 0x3FFF) << 4, (bits >> 16 & 0x3FFF) << 4, (bits >> 32 & 0x3FFF) << 4);
        _swizzleBits = (bits >> 62) switch { 1 => 3, 2 => 2, 3 => 1, _ => throw new PtxFaultException("operand without swizzle") };
        if ((bits >> 49 & 7) != 0)
            throw new PtxFaultException("base offset of a matrix");
    }

    /// <summary>Where a value lies.</summary>
    /// <param name="line">Of the left operand, or column of the right one.</param>
    /// <param name="depth">Of the sum.</param>
    /// <param name="bytes">Of a value.</param>
    /// <param name="isTurned">Whether lines are neighbours, not depths.</param>
    public ulong Address(int line, int depth, int bytes, bool isTurned)
    {
        int row = 16 << _swizzleBits, perRow = row / bytes;
        ulong address = isTurned
            ? _start + ((ulong)(line / perRow) * _leading) + ((ulong)(depth / 8) * _stride)
                + (ulong)((depth % 8 * row) + (line % perRow * bytes))
            : _start + ((ulong)(line / 8) * _stride) + (ulong)((line % 8 * row) + (depth * bytes));
        return address ^ ((address >> 7 & ((1ul << _swizzleBits) - 1)) << 4);
    }
}

/// <summary>wgmma.mma_async: 64 lines of a warpgroup, 16 of each of its warps, by N columns, added to sums in registers.</summary>
/// <remarks>PTX ISA, "Register Fragments and Shared Memory Matrix Layouts": sum 4j + w of a lane is of line 16 warp + lane / 4 + 8 (w / 2),
/// column 8j + 2 (lane % 4) + w % 2. Until it is waited for its sums are not a number, but for the next of these instructions, and nobody
/// may write to what it reads. It needs wgmma.fence since the sums were touched, and reads what was written before a proxy fence of the
/// writer and a barrier.</remarks>
/// <param name="sums">Rows.</param>
/// <param name="left">Row of a descriptor.</param>
/// <param name="right">Row of a descriptor.</param>
/// <param name="scale">Row of a predicate: whether products are added to the sums.</param>
/// <param name="bytes">Of an operand's value.</param>
/// <param name="isLeftTurned">Whether the left operand is M-major.</param>
/// <param name="isRightTurned">Whether the right operand is N-major.</param>
internal sealed class WarpgroupMultiply(int[] sums, int left, int right, int scale, int bytes, bool isLeftTurned, bool isRightTurned)
    : PtxInstruction
{
    private const int LinesOfWarp = 16;

    private readonly int _depth = 32 / bytes;
    private readonly int _columns = 2 * sums.Length;

    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes)
    {
        if (warp.Row(scale).Contains(0ul))
            throw new PtxFaultException("products that are not added to sums");
        Span<float> a = stackalloc float[LinesOfWarp * _depth], b = stackalloc float[_columns * _depth];
        int firstLine = LinesOfWarp * (warp.Thread(0).Index / Lanes.Count % 4);
        Read(warp, Descriptor(warp, left), firstLine, LinesOfWarp, isLeftTurned, a);
        Read(warp, Descriptor(warp, right), 0, _columns, isRightTurned, b);
        for (int i = 0; i < sums.Length; i++)
        {
            var pending = warp.Products.Begin(sums[i], warp.Row(sums[i]));
            for (int lane = 0; lane < Lanes.Count; lane++)
            {
                int line = (lane >> 2) + (8 * (i >> 1 & 1)), column = (8 * (i >> 2)) + (2 * (lane & 3)) + (i & 1);
                float sum = PtxArithmetic.F(pending[lane]);
                for (int k = 0; k < _depth; k++)
                    sum += a[(line * _depth) + k] * b[(column * _depth) + k];
                pending[lane] = PtxArithmetic.Bits(sum);
            }
        }
    }

    private static MatrixDescriptor Descriptor(Warp warp, int row)
    {
        var bits = warp.Row(row);
        return bits.IndexOfAnyExcept(bits[0]) < 0 ? new MatrixDescriptor(bits[0])
            : throw new PtxFaultException("threads of a warp name different matrices");
    }

    private void Read(Warp warp, MatrixDescriptor descriptor, int first, int count, bool isTurned, Span<float> values)
    {
        for (int line = 0; line < count; line++)
        {
            for (int k = 0; k < _depth; k++)
            {
                ulong address = descriptor.Address(first + line, k, bytes, isTurned);
                uint word = BitConverter.ToUInt32(warp.Group.Shared.ReadAsynchronously(address & ~3ul, warp.Thread(0),
                    warp.Products.IsFirstRead(address & ~3ul)));
                values[(line * _depth) + k] = PtxArithmetic.F(bytes == 4 ? word & 0xFFFFE000
                    : (address & 2) != 0 ? word & 0xFFFF0000 : word << 16);
            }
        }
    }
}

/// <summary>wgmma.fence.</summary>
internal sealed class WarpgroupFence : PtxInstruction
{
    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes) => warp.Products.Fence();
}

/// <summary>wgmma.commit_group.</summary>
internal sealed class WarpgroupCommit : PtxInstruction
{
    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes) => warp.Products.Commit();
}

/// <summary>wgmma.wait_group 0.</summary>
internal sealed class WarpgroupWait : PtxInstruction
{
    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes) => warp.Products.Land(warp);
}

/// <summary>fence.proxy.async: what this thread wrote becomes visible to matrix instructions behind the next barrier.</summary>
internal sealed class ProxyFence : PtxInstruction
{
    public override void Run(Warp warp, uint lanes)
    {
        while (lanes != 0)
            warp.Group.Shared.ShowToAsynchronous(warp.Thread(Lanes.Next(ref lanes)));
    }
}

/// <summary>A warp's products that are under way.</summary>
internal sealed class PendingProducts
{
    private readonly Dictionary<int, ulong[]> _sums = [];
    private readonly HashSet<ulong> _reads = [];
    private bool _isFenced;
    private bool _isCommitted = true;

    public void Clear()
    {
        _sums.Clear();
        _reads.Clear();
        (_isFenced, _isCommitted) = (false, true);
    }

    public void Fence() => _isFenced = true;

    public void Commit() => _isCommitted = true;

    /// <summary>The sums of a row as they will be; the register itself is undefined from now on.</summary>
    public ulong[] Begin(int row, Span<ulong> register)
    {
        if (!_isFenced)
            throw new PtxFaultException("no fence orders the sums before the products");
        _isCommitted = false;
        if (!_sums.TryGetValue(row, out var sums))
        {
            _sums[row] = sums = register.ToArray();
            register.Fill(GroupMemory.Poison);
        }
        return sums;
    }

    /// <summary>Whether a word was not read yet by these products.</summary>
    public bool IsFirstRead(ulong address) => _reads.Add(address);

    /// <summary>All committed products are done: sums are in their registers, operands may be written to behind a barrier.</summary>
    public void Land(Warp warp)
    {
        if (!_isCommitted)
            return;
        foreach (var (row, sums) in _sums)
            sums.CopyTo(warp.Row(row));
        foreach (ulong address in _reads)
            warp.Group.Shared.EndAsynchronousRead(address, warp.Thread(0));
        Clear();
    }
}
