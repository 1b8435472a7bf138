using System.Reflection;
using ILGPU;
using ILGPU.Runtime;

namespace Diffusion.Gpu.Kernels;

/// <summary>A kernel without co-operation between threads: the fields are its arguments, a call computes one element.</summary>
internal interface IElementKernel
{
    /// <summary>Computes element <paramref name="i"/>.</summary>
    void Run(int i);
}

/// <summary>
/// Compiles kernels at their first use, holds them, and enqueues them on the backend's stream.
/// </summary>
/// <remarks>
/// A kernel is a static method of one argument, a struct of views and numbers; the struct travels to the device by value, nothing is boxed
/// and nothing is looked up by reflection at a launch. Which kernel serves an op is decided in the op's backend method alone, so that a
/// strategy for one kind of device (tensor cores) is one more branch there.
/// </remarks>
/// <param name="accelerator">Compiles and runs.</param>
/// <param name="stream">Everything is enqueued on it, in order.</param>
/// <param name="listing">Where given, it is told every kernel, and none is compiled or run: offline assembly finds a model's kernels so.</param>
internal sealed class Launcher(Accelerator accelerator, AcceleratorStream stream, Action<KernelUse>? listing = null)
{
    /// <summary>Threads of a group where the kernel has no reason for another number.</summary>
    public const int GroupSize = 256;

    private readonly Dictionary<Delegate, Delegate> _loaded = [];

    /// <summary>Runs <paramref name="kernel"/> for 0 … count − 1, one thread each.</summary>
    public void ForEach<TKernel>(long count, TKernel kernel)
        where TKernel : struct, IElementKernel
    {
        if (count == 0)
            return;
        Action<TKernel, int> method = Elements;
        if (IsListed(method, GroupSize))
            return;
        if (!_loaded.TryGetValue(method, out var loaded))
            _loaded[method] = loaded = accelerator.LoadKernel(method, new KernelSpecialization(GroupSize, null));
        ((Action<AcceleratorStream, KernelConfig, TKernel, int>)loaded)(stream, new KernelConfig(GroupsFor(count), GroupSize), kernel,
            checked((int)count));
    }

    /// <summary>Runs a kernel whose threads co-operate.</summary>
    /// <param name="kernel">A static method.</param>
    /// <param name="arguments">What it is given.</param>
    /// <param name="groups">Extents of the grid; at most 65,535 in y and z.</param>
    /// <param name="threads">Threads of a group; always the same for one kernel, which is compiled for it.</param>
    /// <param name="shared">Dynamic shared memory: CUDA only, portable kernels have a fixed size.</param>
    /// <param name="leastGroups">Groups that a multiprocessor must have registers for, or null where the compiler may decide.</param>
    public void Launch<TArguments>(Action<TArguments> kernel, TArguments arguments, Index3D groups, int threads = GroupSize,
        SharedMemoryConfig shared = default, int? leastGroups = null)
        where TArguments : struct
    {
        if (IsListed(kernel, threads, leastGroups))
            return;
        if (!_loaded.TryGetValue(kernel, out var loaded))
            _loaded[kernel] = loaded = accelerator.LoadKernel(kernel, new KernelSpecialization(threads, leastGroups));
        var config = new KernelConfig(groups, new Index3D(threads, 1, 1), shared);
        ((Action<AcceleratorStream, KernelConfig, TArguments>)loaded)(stream, config, arguments);
    }

    /// <summary>Groups that cover <paramref name="count"/> items.</summary>
    /// <param name="count">Items.</param>
    /// <param name="perGroup">Items of one group.</param>
    public static int GroupsFor(long count, int perGroup = GroupSize) => checked((int)((count + perGroup - 1) / perGroup));

    private bool IsListed(Delegate kernel, int threads, int? leastGroups = null)
    {
        listing?.Invoke(new KernelUse(kernel.Method, threads, leastGroups));
        return listing is not null;
    }

    internal static void Elements<TKernel>(TKernel kernel, int count)
        where TKernel : struct, IElementKernel
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < count)
            kernel.Run(i);
    }
}

/// <summary>A kernel as it is launched.</summary>
/// <param name="Method">With all type arguments.</param>
/// <param name="Threads">Threads of a group, which it is compiled for.</param>
/// <param name="LeastGroups">Groups that a multiprocessor must have registers for, or null.</param>
internal sealed record KernelUse(MethodInfo Method, int Threads, int? LeastGroups);

/// <summary>A kernel's side of a <see cref="GradientTarget"/>: stores, or adds to what is there.</summary>
internal readonly struct Target(ArrayView<float> values, bool accumulate)
{
    private readonly ArrayView<float> _values = values;
    private readonly int _accumulate = accumulate ? 1 : 0;

    public void Store(int i, float value) => _values[i] = _accumulate != 0 ? _values[i] + value : value;
}
