using ILGPU;

namespace Diffusion.Gpu.Kernels;

/// <summary>Tensor cores and asynchronous copies of an NVIDIA GPU of compute capability 8.0 or later.</summary>
internal struct CudaTile<TShape> : ITile
    where TShape : struct, ITileShape
{
    public static TileMemory Open()
    {
        // Dynamic, for static memory ends at 48 KB: the launch names TileShape.SharedBytes.
        var shared = SharedMemory.GetDynamic<F4>();
        Instructions.Open<TShape>(ref shared[0]);
        return new TileMemory { Shared = shared };
    }

    public static void Copy<TVector>(TileMemory memory, int target, ref TVector source, bool isInside)
        where TVector : unmanaged
        => Instructions.Copy(target, ref source, isInside ? Interop.SizeOf<TVector>() : 0);

    public static void Commit() => Instructions.Commit();

    public static void Wait() => Instructions.Wait<TShape>();

    public static void Drain() => Instructions.Drain();

    public static void LoadLeft<TOrder>(TileMemory memory, int address, int half)
        where TOrder : struct, IOperandOrder
        => Instructions.LoadLeft<TShape, TOrder>(address, half);

    public static void LoadRight<TOrder>(TileMemory memory, int address, int half)
        where TOrder : struct, IOperandOrder
        => Instructions.LoadRight<TShape, TOrder>(address, half);

    public static void Step(TileMemory memory) => Instructions.Step<TShape>();

    public static void Spill(TileMemory memory, int fragment, int word) => Instructions.Spill<TShape>(fragment, word << 2);
}
