using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Tensor cores and asynchronous copies of an NVIDIA GPU of compute capability 8.0 or later.</summary>
internal struct CudaTile<TShape, TElement> : ITile
    where TShape : struct, ITileShape
    where TElement : struct, ITileElement
{
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

    public static void Wait() => Instructions.Wait();

    public static void Drain() => Instructions.Drain();

    public static TileMemory Anchor(TileMemory memory, int left, int right)
    {
        Instructions.AnchorLeft(left);
        Instructions.AnchorRight(right);
        return memory;
    }

    public static void LoadLeft<TOrder>(TileMemory memory, int stage, int half)
        where TOrder : struct, IOperandOrder
        => Instructions.LoadLeft<TShape, TElement, TOrder>(stage, half);

    public static void LoadRight<TOrder>(TileMemory memory, int stage, int half)
        where TOrder : struct, IOperandOrder
        => Instructions.LoadRight<TShape, TElement, TOrder>(stage, half);

    public static void Step(TileMemory memory) => Instructions.Step<TShape, TElement>();

    public static void Spill<TLeftOrder>(TileMemory memory, int fragment, int word)
        where TLeftOrder : struct, IOperandOrder
        => Instructions.Spill<TShape, TElement, TLeftOrder>(fragment, word << 2);
}
