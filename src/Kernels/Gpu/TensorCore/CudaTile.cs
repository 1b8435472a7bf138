using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Tensor cores and asynchronous copies of an NVIDIA GPU of compute capability 8.0 or later.</summary>
internal struct CudaTile<TShape, TElement> : ITile
    where TShape : struct, ITileShape
    where TElement : struct, ITileElement
{
    public static bool IsAsynchronous => false;

    public static TileMemory Open()
    {
        // Dynamic, for static memory ends at 48 KB: the launch names TileShape.SharedBytes.
        var shared = SharedMemory.GetDynamic<F4>();
        Instructions.Open<TShape>(ref shared[0]);
        return new TileMemory { Shared = shared };
    }

    public static int Hold(int value) => Instructions.Hold(value);

    public static void Copy(TileMemory memory, int target, ArrayView<float> values, int offset, int bytes, bool isInside)
    {
        // The address of a value of its own width takes one instruction, that of a piece a shift more.
        if (TElement.ByteShift == 2)
            Instructions.Copy(target, ref values[offset], bytes, isInside ? 16 : 0);
        else
            Instructions.Copy(target, ref values.Cast<ushort>()[offset], bytes, isInside ? 16 : 0);
    }

    public static void Commit() => Instructions.Commit();

    public static void Wait(TileMemory memory) => Instructions.Wait();

    public static void Drain(TileMemory memory) => Instructions.Drain();

    public static TileMemory Anchor<TLeftOrder, TRightOrder>(TileMemory memory)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        Instructions.AnchorLeft(TileWarps<TShape, TElement>.LeftAddress<TLeftOrder>());
        Instructions.AnchorRight(TileWarps<TShape, TElement>.RightAddress<TRightOrder>());
        return memory;
    }

    public static void Step<TLeftOrder, TRightOrder>(TileMemory memory, int stage, int half)
        where TLeftOrder : struct, IOperandOrder
        where TRightOrder : struct, IOperandOrder
    {
        Instructions.LoadLeft<TShape, TElement, TLeftOrder>(stage, half);
        Instructions.LoadRight<TShape, TElement, TRightOrder>(stage, half);
        Instructions.Step<TShape, TElement>();
    }

    public static int SpillWord<TLeftOrder>()
        where TLeftOrder : struct, IOperandOrder
        => TileWarps<TShape, TElement>.SpillWord<TLeftOrder>();

    public static void Spill<TLeftOrder>(TileMemory memory, int part, int word)
        where TLeftOrder : struct, IOperandOrder
        => Instructions.Spill<TShape, TElement, TLeftOrder>(part, word << 2);

    public static int SpilledLine(int part, int line) => TileWarps<TShape, TElement>.SpilledLine(part, line);
}
