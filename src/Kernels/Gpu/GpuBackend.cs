using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace Diffusion.Gpu.Kernels;

/// <summary>ILGPU kernels on CUDA, OpenCL or ILGPU's emulator.</summary>
/// <remarks>Everything runs in order on one stream of its own: memory may go back to the pool as soon as its last reader is enqueued,
/// and a step can be captured, which the default stream does not allow.</remarks>
internal sealed partial class GpuBackend : Backend
{
    private readonly Context _context;
    private readonly Accelerator _accelerator;
    private readonly AcceleratorStream _stream;
    private readonly KernelLoader _loader;
    private readonly Launcher _launcher;
    private readonly bool _hasTensorCores;

    /// <summary>Whether the device is of compute capability 9.0, no other: target sm_90a runs on nothing later either.</summary>
    private readonly bool _hasWarpgroups;

    /// <summary>Opens the device that <see cref="Device.Info"/> names.</summary>
    /// <param name="device">A GPU or the emulator.</param>
    /// <param name="runner">Handed every launch in the device's place, or null: kernels are then those of CUDA.</param>
    /// <param name="cache">Compiled kernels of earlier runs, or null.</param>
    /// <param name="tuning">Measured tiles of earlier runs; null for none.</param>
    /// <exception cref="DeviceException">The driver refuses it.</exception>
    public GpuBackend(Device device, Action<KernelLaunch>? runner = null, KernelCache? cache = null, TileTuning? tuning = null)
        : base(device)
    {
        Tuning = tuning ?? new TileTuning(null, device.Info);
        _context = NewContext(device.Info.Kind);
        try
        {
            _accelerator = Select(_context, device.Info).CreateAccelerator(_context);
            _stream = _accelerator.CreateStream();
            _loader = new KernelLoader(_accelerator, device.Info, cache);
            _launcher = new Launcher(_loader, _stream, runner);
            MatrixStrategy = FastestMatrixStrategy(runner is not null);
            _hasTensorCores = device.Info.Precisions.Contains(Precision.Tf32) || runner is not null;
            _hasWarpgroups = runner is not null || (_accelerator is CudaAccelerator cuda
                && cuda.Architecture == CudaArchitecture.SM_90 && cuda.InstructionSet >= CudaInstructionSet.ISA_80);
        }
        catch (Exception exception)
        {
            _context.Dispose();
            throw new DeviceException(device.Info.Id, $"the driver refuses it ({DriverText(exception)})",
                "check with the maker's tool that it works and is not reserved by another process", exception);
        }
    }

    public override KernelLoads Kernels => _loader.Loads;

    internal Launcher Launcher => _launcher;

    public override void Upload(ReadOnlySpan<float> source, Tensor destination)
        => View(destination.Storage).CopyFromCPU(_stream, source);

    public override void Download(Tensor source, Span<float> destination)
        => View(source.Storage).CopyToCPU(_stream, destination);

    public override void Synchronize() => _stream.Synchronize();

    protected override MemoryBlock AllocateBlock(long capacity)
    {
        if (capacity > int.MaxValue)
        {
            throw new DeviceException(Device.Info.Id, $"a tensor of about {capacity:N0} values; kernels count up to {int.MaxValue:N0}",
                "use a smaller batch");
        }
        try
        {
            return new GpuBlock(_accelerator.Allocate1D<float>(capacity));
        }
        catch (Exception exception) when (exception is AcceleratorException or OutOfMemoryException)
        {
            throw new DeviceException(Device.Info.Id,
                $"no memory for {capacity * sizeof(float):N0} bytes beside the {Memory.Live:N0} in use "
                + $"and {Memory.Pooled:N0} kept for re-use, of {Device.Info.MemoryBytes:N0} (driver: {DriverText(exception)})",
                "use a smaller batch or a smaller model", exception);
        }
    }

    protected override void FreeBlock(MemoryBlock block) => ((GpuBlock)block).Buffer.Dispose();

    protected override void DisposeCore()
    {
        _stream.Dispose();
        _accelerator.Dispose();
        _context.Dispose();
    }

    /// <summary>A tensor's values, for a kernel.</summary>
    internal static ArrayView<float> View(Tensor tensor) => View(tensor.Storage);

    /// <summary>A tensor's values, or an empty view that the kernel must not read.</summary>
    private static ArrayView<float> ViewOrEmpty(Tensor? tensor) => tensor is null ? default : View(tensor);

    private static ArrayView<float> View(Storage storage)
        => ((GpuBlock)storage.Block).Buffer.View.BaseView.SubView(storage.Offset, storage.Count);

    /// <summary>Where a kernel stores a gradient that is wanted.</summary>
    private static Target To(GradientTarget target) => new(View(target.Tensor!), target.Accumulate);

    /// <summary>Memory for the span of one op, from the pool. Free it once the last kernel that uses it is enqueued.</summary>
    private Workspace Rent(long count) => new(Allocate(count));

    private static string DriverText(Exception exception)
        => exception.GetBaseException() is CLException { Error: var error } ? error.ToString() : exception.GetBaseException().Message;

    private readonly struct Workspace(Storage storage) : IDisposable
    {
        public ArrayView<float> View => GpuBackend.View(storage);

        public void Dispose() => storage.Release();
    }

    private sealed class GpuBlock(MemoryBuffer1D<float, Stride1D.Dense> buffer) : MemoryBlock
    {
        public MemoryBuffer1D<float, Stride1D.Dense> Buffer { get; } = buffer;

        public override long Capacity { get; } = buffer.Length;
    }
}
