namespace Diffusion.Gpu.Kernels;

/// <summary>A processor that runs ops: this machine's cores, a GPU, or the kernel emulator.</summary>
public sealed class Device : IDisposable
{
    internal Device(DeviceInfo info, Precision precision, Func<Device, Backend> open)
    {
        Info = info;
        Precision = precision;
        Backend = open(this);
    }

    /// <summary>Name, memory, driver and choices.</summary>
    public DeviceInfo Info { get; }

    /// <summary>How matrix products are computed.</summary>
    public Precision Precision { get; }

    /// <summary>Live, pooled and peak bytes of everything allocated on the device.</summary>
    public MemoryUse Memory => Backend.Memory;

    /// <summary>Speed in double precision over speed in single precision; 0 where there is none, and so no <see cref="Matrix"/>.</summary>
    public double Float64Rate => Backend.Float64Rate;

    /// <summary>Kernels compiled and loaded so far, and what that took.</summary>
    public KernelLoads Kernels => Backend.Kernels;

    internal Backend Backend { get; }

    /// <summary>All devices of this machine, usable or not; the emulator, which only tests want, comes last.</summary>
    public static IReadOnlyList<DeviceInfo> List() => [.. GpuBackend.List(), CpuBackend.Describe(), GpuBackend.DescribeEmulator()];

    /// <summary>Opens a device.</summary>
    /// <param name="id">"auto" (the first usable GPU with CUDA, else the CPU), "cuda:0", "opencl:0", "cpu" or "emulator".</param>
    /// <param name="precision">How matrix products are computed, one of <see cref="DeviceInfo.Precisions"/>; null for
    /// <see cref="DeviceInfo.DefaultPrecision"/>.</param>
    /// <param name="kernelCache">Folder of compiled kernels, which spare later runs the compiler: null for
    /// <see cref="CacheFolder.Kernels"/>, empty for none.</param>
    /// <exception cref="DeviceException">No such device, it is not usable, it does not offer the precision, or its tensor cores give wrong
    /// results.</exception>
    public static Device Open(string id = "auto", Precision? precision = null, string? kernelCache = null)
    {
        ArgumentNullException.ThrowIfNull(id);
        var info = Find(id.ToLowerInvariant());
        if (info.Problem is { } problem)
            throw new DeviceException(info.Id, problem, "choose another device; 'devices' lists them");
        var chosen = precision ?? info.DefaultPrecision;
        if (!info.Precisions.Contains(chosen))
        {
            throw new DeviceException(info.Id, $"precision {chosen} is not available",
                $"choose one of {string.Join(", ", info.Precisions)}");
        }
        if (info.Kind == DeviceKind.Cpu)
            return new Device(info, chosen, device => new CpuBackend(device));
        string folder = kernelCache ?? CacheFolder.Kernels;
        var device = folder.Length == 0 ? new Device(info, chosen, device => new GpuBackend(device))
            : new Device(info, chosen, device => new GpuBackend(device, null, new KernelCache(folder), new TileTuning(folder, info)));
        if (chosen == Precision.Float32)
            return device;
        try
        {
            TensorCoreCheck.Run(device);
            return device;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    /// <summary>Begins a computation.</summary>
    /// <param name="recording">False for inference: nothing is kept for a backward pass.</param>
    public Tape NewTape(bool recording = true) => new(this, recording);

    /// <summary>Allocates a tensor that the caller disposes; its values are undefined.</summary>
    public Tensor NewTensor(Shape shape) => new(this, shape, Backend.Allocate(shape.Count));

    /// <summary>Allocates a tensor that the caller disposes and fills it from the host.</summary>
    public Tensor NewTensor(Shape shape, ReadOnlySpan<float> values)
    {
        var tensor = NewTensor(shape);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>Times every tile that the matrix products of some work can have, keeps the fastest of each beside the compiled kernels, and
    /// uses them from then on. Tiles give the same bits, but for those of a warpgroup's instructions, which exist on compute capability 9.0
    /// alone: where they win, results may differ in the last bits from those before.</summary>
    /// <param name="work">Runs once; its products are launched many times, so its results mean nothing.</param>
    /// <param name="progress">Told how many products are known.</param>
    /// <exception cref="DeviceException">The device or its precision has nothing to choose between.</exception>
    /// <exception cref="IOException">What was measured cannot be written.</exception>
    public void Tune(Action work, Action<int> progress)
    {
        ArgumentNullException.ThrowIfNull(work);
        ArgumentNullException.ThrowIfNull(progress);
        Backend.Tune(work, progress);
    }

    /// <summary>Waits until everything enqueued is done.</summary>
    public void Synchronize() => Backend.Synchronize();

    /// <summary>Returns the device's memory.</summary>
    public void Dispose() => Backend.Dispose();

    private static DeviceInfo Find(string id)
    {
        if (id == "cpu")
            return CpuBackend.Describe();
        if (id == "emulator")
            return GpuBackend.DescribeEmulator();
        var devices = List();
        if (id == "auto")
            return devices.First(d => d.Problem is null && d.Kind is DeviceKind.Cuda or DeviceKind.Cpu);
        string full = id is "cuda" or "opencl" ? id + ":0" : id;
        return devices.FirstOrDefault(d => d.Id == full) ?? throw new DeviceException(id, "there is no such device",
            $"this machine has {string.Join(", ", devices.Where(d => d.Problem is null).Select(d => d.Id))}");
    }
}

/// <summary>What runs the kernels.</summary>
public enum DeviceKind
{
    /// <summary>This machine's cores, through SIMD instructions.</summary>
    Cpu,

    /// <summary>An NVIDIA GPU.</summary>
    Cuda,

    /// <summary>Any OpenCL device.</summary>
    OpenCL,

    /// <summary>ILGPU's kernel emulator: for tests of tiny sizes only.</summary>
    Emulator,
}

/// <summary>How matrix products and convolutions are computed.</summary>
public enum Precision
{
    /// <summary>32-bit floats throughout.</summary>
    Float32,

    /// <summary>
    /// Convolutions and matrix products, with their gradients, multiply the upper 19 bits of what they are given (TF32: 8 bits of exponent
    /// and 10 of mantissa), add in 32 bits and take back what the missing bits make sums smaller on average, on the tensor cores of
    /// NVIDIA GPUs from compute capability 8.0 on. Attention and everything else stay in 32 bits. The default where it is offered, as in
    /// PyTorch's convolutions.
    /// </summary>
    Tf32,

    /// <summary>
    /// As <see cref="Tf32"/>, but what is multiplied is rounded to bfloat16 (8 bits of exponent and 7 of mantissa, to nearest) in copies of
    /// half the size. Tensors stay in 32 bits, and so do sums.
    /// </summary>
    Bf16,
}

/// <summary>One entry of <see cref="Device.List"/>.</summary>
/// <param name="Id">What <see cref="Device.Open"/> takes, such as cuda:0.</param>
/// <param name="Kind">What runs the kernels.</param>
/// <param name="Name">The maker's name of it.</param>
/// <param name="MemoryBytes">Memory in bytes.</param>
/// <param name="Driver">Driver or instruction set.</param>
/// <param name="Precisions">What <see cref="Device.Open"/> accepts as precision.</param>
/// <param name="Problem">Why it cannot be used, or null.</param>
public sealed record DeviceInfo(string Id, DeviceKind Kind, string Name, long MemoryBytes, string Driver,
    IReadOnlyList<Precision> Precisions, string? Problem)
{
    /// <summary>What <see cref="Device.Open"/> chooses: TF32 where it is offered, else float32.</summary>
    public Precision DefaultPrecision => Precisions.Contains(Precision.Tf32) ? Precision.Tf32 : Precision.Float32;
}

/// <summary>Memory of a device, in bytes.</summary>
/// <param name="Live">Held by tensors.</param>
/// <param name="Pooled">Free, kept for the next tensors.</param>
/// <param name="Peak">The most that was ever live.</param>
public readonly record struct MemoryUse(long Live, long Pooled, long Peak);

/// <summary>Kernels that a device loaded: each is compiled from C# or found among those of earlier runs, then compiled by the driver, which
/// may have a cache of its own.</summary>
/// <param name="Count">All.</param>
/// <param name="Kept">Those that earlier runs had compiled.</param>
/// <param name="Compiling">Time of compiling from C#, or of finding.</param>
/// <param name="Driver">Time of the driver.</param>
public readonly record struct KernelLoads(int Count, int Kept, TimeSpan Compiling, TimeSpan Driver);
