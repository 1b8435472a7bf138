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
/// <param name="loader">Compiles kernels.</param>
/// <param name="stream">Everything is enqueued on it, in order.</param>
/// <param name="runner">Where given, it is handed every launch, and nothing is compiled or run here: offline assembly finds a model's
/// kernels so, and an interpreter runs them.</param>
internal sealed class Launcher(KernelLoader loader, AcceleratorStream stream, Action<KernelLaunch>? runner = null)
{
    /// <summary>Threads of a group where the kernel has no reason for another number.</summary>
    public const int GroupSize = 256;

    /// <summary>Held for as long as the device: ILGPU keeps only weak references.</summary>
    private readonly Dictionary<Delegate, Delegate> _loaded = [];

    /// <summary>Runs <paramref name="kernel"/> for 0 … count − 1, one thread each.</summary>
    public void ForEach<TKernel>(long count, TKernel kernel)
        where TKernel : struct, IElementKernel
    {
        if (count == 0)
            return;
        Action<TKernel, int> method = Elements;
        var config = new KernelConfig(GroupsFor(count), GroupSize);
        int elements = checked((int)count);
        if (runner is not null)
            runner(new KernelLaunch(new KernelUse(method.Method, GroupSize, null, 0), config, [kernel, elements]));
        else
            Loaded<Action<AcceleratorStream, KernelConfig, TKernel, int>>(method, GroupSize).Invoke(stream, config, kernel, elements);
    }

    /// <summary>Runs a kernel whose threads co-operate.</summary>
    /// <param name="kernel">A static method.</param>
    /// <param name="arguments">What it is given.</param>
    /// <param name="groups">Extents of the grid; at most 65,535 in y and z.</param>
    /// <param name="threads">Threads of a group; always the same for one kernel, which is compiled for it.</param>
    /// <param name="leastGroups">Groups that a multiprocessor must have registers for, or null where the compiler may decide.</param>
    /// <param name="dynamicSharedBytes">What the kernel takes by <see cref="SharedMemory.GetDynamic{T}()"/>, which only CUDA and the
    /// emulator have; always the same for one kernel. Beyond 48 KB it is CUDA's only way. A kernel for other devices, too, reserves its
    /// memory through a type parameter that has a form of fixed size, as <see cref="ITile.Open"/> does.</param>
    /// <exception cref="DeviceException">The kernel's groups share more memory than the device has.</exception>
    public void Launch<TArguments>(Action<TArguments> kernel, TArguments arguments, Index3D groups, int threads = GroupSize,
        int? leastGroups = null, int dynamicSharedBytes = 0)
        where TArguments : struct
    {
        var config = new KernelConfig(groups, new Index3D(threads, 1, 1),
            dynamicSharedBytes == 0 ? default : SharedMemoryConfig.RequestDynamic<byte>(dynamicSharedBytes));
        if (runner is not null)
            runner(new KernelLaunch(new KernelUse(kernel.Method, threads, leastGroups, dynamicSharedBytes), config, [arguments]));
        else
        {
            Loaded<Action<AcceleratorStream, KernelConfig, TArguments>>(kernel, threads, leastGroups, dynamicSharedBytes)
                .Invoke(stream, config, arguments);
        }
    }

    /// <summary>Groups that cover <paramref name="count"/> items.</summary>
    /// <param name="count">Items.</param>
    /// <param name="perGroup">Items of one group.</param>
    public static int GroupsFor(long count, int perGroup = GroupSize) => checked((int)((count + perGroup - 1) / perGroup));

    /// <summary>The kernel, ready to be launched.</summary>
    private TLauncher Loaded<TLauncher>(Delegate kernel, int threads, int? leastGroups = null, int dynamicSharedBytes = 0)
        where TLauncher : Delegate
    {
        if (_loaded.TryGetValue(kernel, out var loaded))
            return (TLauncher)loaded;
        var use = new KernelUse(kernel.Method, threads, leastGroups, dynamicSharedBytes);
        var launcher = loader.Load<TLauncher>(use);
        _loaded[kernel] = launcher;
        return launcher;
    }

    internal static void Elements<TKernel>(TKernel kernel, int count)
        where TKernel : struct, IElementKernel
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < count)
            kernel.Run(i);
    }
}

/// <summary>One launch, for who runs it in the device's place.</summary>
/// <param name="Use">The kernel.</param>
/// <param name="Config">Extents of the grid and of a group.</param>
/// <param name="Arguments">What the kernel is given.</param>
internal sealed record KernelLaunch(KernelUse Use, KernelConfig Config, object[] Arguments);

/// <summary>A kernel as it is launched.</summary>
/// <param name="Method">With all type arguments.</param>
/// <param name="Threads">Threads of a group, which it is compiled for.</param>
/// <param name="LeastGroups">Groups that a multiprocessor must have registers for, or null.</param>
/// <param name="DynamicSharedBytes">Shared memory of a group beside what the kernel reserves by itself.</param>
internal sealed record KernelUse(MethodInfo Method, int Threads, int? LeastGroups, int DynamicSharedBytes)
{
    /// <summary>Type and method, with type arguments in angle brackets; of an element kernel its struct.</summary>
    public string Name => Method.DeclaringType == typeof(Launcher) ? Short(Method.GetGenericArguments()[0])
        : $"{Short(Method.DeclaringType!)}.{Method.Name}{Arguments(Method.GetGenericArguments())}";

    private static string Short(Type type) => type.Name.Split('`')[0] + Arguments(type.GetGenericArguments());

    private static string Arguments(Type[] types) => types.Length == 0 ? "" : $"<{string.Join(", ", types.Select(Short))}>";
}

/// <summary>A kernel's side of a <see cref="GradientTarget"/>: stores, or adds to what is there.</summary>
internal readonly struct Target(ArrayView<float> values, bool accumulate)
{
    private readonly ArrayView<float> _values = values;
    private readonly int _accumulate = accumulate ? 1 : 0;

    public void Store(int i, float value) => _values[i] = _accumulate != 0 ? _values[i] + value : value;
}
