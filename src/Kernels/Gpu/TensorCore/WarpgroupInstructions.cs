using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>Matrix instructions of a warpgroup (compute capability 9.0 only); see <see cref="Instructions"/>.</summary>
internal static class WarpgroupInstructions
{
    /// <summary>Declares the sums, zeroes them and keeps where shared memory begins. Once a kernel, first of all.</summary>
    [IntrinsicImplementation]
    internal static void OpenWarpgroup<TShape>(ref F4 shared)
        where TShape : struct, ITileShape
        => throw Instructions.OnlyOnCuda();

    /// <summary>Waits for all matrix instructions, then orders shared memory between them and copies.</summary>
    [IntrinsicImplementation]
    internal static void WaitForWarpgroup() => throw Instructions.OnlyOnCuda();

    /// <summary>Starts to add the products of half a stage to the sums.</summary>
    /// <param name="left">Low word of the left operand's descriptor, as if shared memory began at 0.</param>
    /// <param name="right">The same of the right operand.</param>
    [IntrinsicImplementation]
    internal static void StepWarpgroup<TShape, TElement, TLeftOrder, TRightOrder>(int left, int right)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
        => throw Instructions.OnlyOnCuda();

    /// <summary>Writes 16 lines of the warp's sums to shared memory, or none: see <see cref="WarpgroupSums.PartOfWarp"/>.</summary>
    [IntrinsicImplementation]
    internal static void SpillWarpgroup<TShape, TElement, TLeftOrder>(int part, int target)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
        => throw Instructions.OnlyOnCuda();
}

/// <summary>The PTX of <see cref="WarpgroupInstructions"/>: one method each, of the same name and type parameters.</summary>
internal static class WarpgroupInstructionText
{
    public static void OpenWarpgroup<TShape>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
    {
        int sums = TileShape<TShape>.SumsOfLane;
        InstructionText.Write(code, $".reg .f32 sum<{sums}>; .reg .b32 sharedBase, sharedPiece;");
        // See InstructionText.Open.
        InstructionText.Write(code, $"cvt.u32.u64 sharedBase, {InstructionText.Argument(code, call, 0)};");
        InstructionText.Write(code, "shr.u32 sharedPiece, sharedBase, 4;");
        for (int i = 0; i < sums; i++)
            InstructionText.Write(code, $"mov.f32 sum{i}, 0f00000000;");
    }

    public static void WaitForWarpgroup(PTXBackend backend, PTXCodeGenerator code, Value call)
        => InstructionText.Write(code, "wgmma.wait_group.sync.aligned 0; fence.proxy.async.shared::cta;");

    public static void StepWarpgroup<TShape, TElement, TLeftOrder, TRightOrder>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        int blocks = 1 << (TShape.LineShift - WarpgroupDescriptor.LineShift), columns = 1 << TShape.ColumnShift, sums = columns / 2;
        // Adding to the sums, neither operand negated; 16-bit operands may lie with the depth in rows.
        string mode = "add, 1, 1" + (TElement.ByteShift == 1 ? $", {Turned<TLeftOrder>()}, {Turned<TRightOrder>()}" : "");
        InstructionText.Write(code, "{ .reg .b32 low; .reg .b64 left, right; .reg .pred add; setp.eq.u32 add, 0, 0;");
        Describe<TRightOrder>("right", InstructionText.Argument(code, call, 1), 0);
        InstructionText.Write(code, "wgmma.fence.sync.aligned;");
        for (int block = 0; block < blocks; block++)
        {
            Describe<TLeftOrder>("left", InstructionText.Argument(code, call, 0),
                block * WarpgroupDescriptor.NextLines<TElement, TLeftOrder>());
            InstructionText.Write(code, $"wgmma.mma_async.sync.aligned.m64n{columns}{TElement.WarpgroupProduct} "
                + $"{InstructionText.List("sum", block * sums, sums)}, left, right, {mode};");
        }
        InstructionText.Write(code, "wgmma.commit_group.sync.aligned; }");

        void Describe<TOrder>(string name, string low, int pieces)
            where TOrder : struct, IOperandOrder
            => InstructionText.Write(code, $"add.u32 low, {low}, sharedPiece; add.u32 low, low, {pieces}; "
                + $"mov.b64 {name}, {{low, 0x{WarpgroupDescriptor.High<TOrder>():x}}};");
    }

    public static void SpillWarpgroup<TShape, TElement, TLeftOrder>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
    {
        int blocks = 1 << (TShape.LineShift - WarpgroupDescriptor.LineShift), fragments = 1 << (TShape.ColumnShift - 3);
        int step = sizeof(float) * TileLayout.SpillStep<TElement, TLeftOrder>() * TileLayout.SpillPitch<TShape, TElement, TLeftOrder>();
        InstructionText.Write(code, $"{{ .reg .u32 s; .reg .pred p; add.u32 s, sharedBase, {InstructionText.Argument(code, call, 1)};");
        for (int block = 0; block < blocks; block++)
        {
            InstructionText.Write(code, $"setp.eq.s32 p, {InstructionText.Argument(code, call, 0)}, {2 * block};");
            InstructionText.StoreSums(code, block * fragments, fragments, step);
        }
        InstructionText.Write(code, "}");
    }

    private static int Turned<TOrder>()
        where TOrder : struct, IOperandOrder
        => TOrder.ColumnsAreDepth ? 0 : 1;
}
