using System.Globalization;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Turns the words of an instruction into what a warp runs. What it does not know is a fault: nothing is skipped.</summary>
internal static class PtxDecoder
{
    /// <param name="code">With all its parts: ld.global.v4.f32.</param>
    /// <param name="operands">As they stand, vectors in braces.</param>
    /// <param name="names">What they stand for.</param>
    public static PtxInstruction Decode(string code, string[] operands, PtxNames names)
    {
        string[] parts = code.Split('.');
        return parts[0] switch
        {
            "bra" => new Branch(operands[0], parts.Contains("uni")),
            "ret" or "exit" => new Return(),
            "bar" when code == "bar.sync" && operands is ["0"] => new GroupBarrier(),
            "mov" when code == "mov.b64" && operands[1].StartsWith('{') => Pair(operands, names),
            "mov" => new Move(names.Row(operands[0]), names.Source(operands[1]), PtxNames.BytesOf(parts[1])),
            "ld" => Load(parts, operands, names),
            "st" => Store(parts, operands, names),
            "setp" when parts.Length == 3 => new Compute2(names.Row(operands[0]), names.Source(operands[1]), names.Source(operands[2]),
                PtxComparison.Of(parts[1], parts[2])),
            "shfl" when code == "shfl.sync.idx.b32" && operands is [_, _, _, "31", "0xffffffff"]
                => new Shuffle(names.Row(operands[0]), names.Source(operands[1]), names.Source(operands[2])),
            "ldmatrix" => LoadMatrices(code, operands, names),
            "mma" => Multiply(MatrixShape.Of(code), [.. operands.Select(names.Rows)]),
            "cp" => Copy(code, operands, names),
            "wgmma" => Warpgroup(code, operands, names),
            "fence" when code == "fence.proxy.async.shared::cta" => new ProxyFence(),
            _ => Compute(code, operands, names),
        };
    }

    private static PtxInstruction Compute(string code, string[] operands, PtxNames names)
    {
        int target = names.Row(operands[0]);
        int[] sources = [.. operands.Skip(1).Select(names.Source)];
        return sources.Length switch
        {
            1 when PtxArithmetic.Of1.TryGetValue(code, out var apply) => new Compute1(target, sources[0], apply),
            2 when PtxArithmetic.Frequent(code, target, sources[0], sources[1]) is { } frequent => frequent,
            2 when PtxArithmetic.Of2.TryGetValue(code, out var apply) => new Compute2(target, sources[0], sources[1], apply),
            3 when PtxArithmetic.Of3.TryGetValue(code, out var apply)
                => new Compute3(target, sources[0], sources[1], sources[2], apply),
            _ => throw new PtxFaultException("unknown instruction"),
        };
    }

    /// <summary>ld.space{.v2|.v4}.type.</summary>
    private static PtxInstruction Load(string[] parts, string[] operands, PtxNames names)
    {
        int[] targets = names.Rows(operands[0]);
        int bytes = AccessBytes(parts, targets.Length);
        if (parts[1] == "param")
            return new LoadParameter(targets[0], names.ParameterOffset(operands[1], bytes), bytes);
        var (row, offset) = names.Address(operands[1]);
        return new Load(SpaceOf(parts[1]), targets, row, offset, bytes);
    }

    private static PtxInstruction Store(string[] parts, string[] operands, PtxNames names)
    {
        int[] sources = operands[1].StartsWith('{') ? [.. operands[1].Trim('{', '}').Split(',').Select(name => names.Source(name.Trim()))]
            : [names.Source(operands[1])];
        var (row, offset) = names.Address(operands[0]);
        return new Store(SpaceOf(parts[1]), sources, row, offset, AccessBytes(parts, sources.Length));
    }

    private static PtxSpace SpaceOf(string name) => name switch
    {
        "shared" => PtxSpace.Shared,
        "global" => PtxSpace.Global,
        "local" => PtxSpace.Local,
        _ => throw new PtxFaultException("unknown memory"),
    };

    /// <summary>Bytes of one register of an access.</summary>
    private static int AccessBytes(string[] parts, int registers)
    {
        string vector = registers == 1 ? "" : $"v{registers}";
        bool isKnown = parts.Length == (registers == 1 ? 3 : 4) && (registers == 1 || parts[2] == vector);
        int bytes = isKnown ? PtxNames.BytesOf(parts[^1]) : 0;
        return bytes * registers is > 0 and <= 16 ? bytes : throw new PtxFaultException("unknown access");
    }

    private static LoadMatrices LoadMatrices(string code, string[] operands, PtxNames names)
    {
        int[] targets = names.Rows(operands[0]);
        var (row, offset) = names.Address(operands[1]);
        string plain = $"ldmatrix.sync.aligned.m8n8.x{targets.Length}";
        return code == $"{plain}.shared.b16" ? new LoadMatrices(targets, row, offset, isTransposed: false)
            : code == $"{plain}.trans.shared.b16" ? new LoadMatrices(targets, row, offset, isTransposed: true)
            : throw new PtxFaultException("unknown instruction");
    }

    /// <param name="shape">Of the instruction.</param>
    /// <param name="rows">Sums, left, right, addends.</param>
    private static PtxInstruction Multiply(MatrixShape shape, int[][] rows)
    {
        if (rows.Length != 4 || rows[0].Length * Lanes.Count != shape.SumPlaces.Length || rows[3].Length != rows[0].Length
            || rows[1].Length * shape.ValuesOfRegister * Lanes.Count != shape.LeftPlaces.Length
            || rows[2].Length * shape.ValuesOfRegister * Lanes.Count != shape.RightPlaces.Length)
            throw new PtxFaultException("fragments have other numbers of registers");
        return shape.IsDouble ? new MatrixMultiply<double>(shape, rows[0], rows[1], rows[2], rows[3])
            : new MatrixMultiply<float>(shape, rows[0], rows[1], rows[2], rows[3]);
    }

    /// <summary>A register of 64 bits from two of 32, the low half first.</summary>
    private static Compute2 Pair(string[] operands, PtxNames names)
    {
        string[] halves = operands[1].Trim('{', '}').Split(',');
        return new Compute2(names.Row(operands[0]), names.Source(halves[0].Trim()), names.Source(halves[1].Trim()),
            (low, high) => (uint)low | (high << 32));
    }

    private static PtxInstruction Warpgroup(string code, string[] operands, PtxNames names)
    {
        if (code == "wgmma.fence.sync.aligned")
            return new WarpgroupFence();
        if (code == "wgmma.commit_group.sync.aligned")
            return new WarpgroupCommit();
        if (code == "wgmma.wait_group.sync.aligned" && operands is ["0"])
            return new WarpgroupWait();
        int[] sums = operands.Length > 0 ? names.Rows(operands[0]) : [];
        string shape = $"wgmma.mma_async.sync.aligned.m64n{2 * sums.Length}";
        // Neither operand negated; 32-bit ones are never turned.
        if (code == $"{shape}k8.f32.tf32.tf32" && operands[4..] is ["1", "1"])
            return new WarpgroupMultiply(sums, names.Row(operands[1]), names.Row(operands[2]), names.Row(operands[3]), 4, false, false);
        if (code == $"{shape}k16.f32.bf16.bf16" && operands[4..] is ["1", "1", "0" or "1", "0" or "1"])
        {
            return new WarpgroupMultiply(sums, names.Row(operands[1]), names.Row(operands[2]), names.Row(operands[3]), 2,
                operands[6] == "1", operands[7] == "1");
        }
        throw new PtxFaultException("unknown instruction");
    }

    private static PtxInstruction Copy(string code, string[] operands, PtxNames names)
    {
        if (code == "cp.async.commit_group")
            return new CommitCopies();
        if (code == "cp.async.wait_all")
            return new WaitForCopies(null);
        if (code == "cp.async.wait_group")
            return new WaitForCopies(int.Parse(operands[0], CultureInfo.InvariantCulture));
        if (code != "cp.async.cg.shared.global" || operands[2] != "16")
            throw new PtxFaultException("unknown instruction");
        var (target, targetOffset) = names.Address(operands[0]);
        var (source, sourceOffset) = names.Address(operands[1]);
        return new StartCopy(target, targetOffset, source, sourceOffset, names.Source(operands.Length > 3 ? operands[3] : "16"));
    }
}
