using ILGPU;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Runs the groups of a launch, one after another: a group's warps in turn, each up to the next barrier.</summary>
internal sealed class ThreadGroup
{
    /// <summary>Far more than any kernel of the tests needs: beyond, it does not end.</summary>
    private const long MostInstructions = 20_000_000;

    private readonly PtxKernel _kernel;
    private readonly Index3D _grid;
    private readonly int _threads;
    private readonly int _dynamicSharedBytes;
    private readonly Warp[] _warps;
    private long _instructions;

    public ThreadGroup(PtxKernel kernel, KernelConfig config, int dynamicSharedBytes, byte[] arguments, GlobalMemory global)
    {
        (_kernel, _grid, _threads, _dynamicSharedBytes) = (kernel, config.GridDim, config.GroupDim.X, dynamicSharedBytes);
        (Arguments, Global) = (arguments, global);
        // Dynamic memory begins at a multiple of 16.
        Shared = new GroupMemory(dynamicSharedBytes == 0 ? kernel.StaticSharedBytes
            : ((kernel.StaticSharedBytes + 15) & ~15) + dynamicSharedBytes);
        Local = new LocalMemory(_threads, kernel.LocalBytes);
        Copies = [.. Enumerable.Range(0, _threads).Select(_ => new PendingCopies())];
        _warps = [.. Enumerable.Range(0, _threads / Lanes.Count).Select(i => new Warp(kernel, this, i * Lanes.Count))];
        if (_threads % Lanes.Count != 0 || config.GroupDim.Size != _threads)
            throw new PtxFaultException($"groups of {config.GroupDim} threads");
    }

    /// <summary>Parameters of the kernel.</summary>
    public byte[] Arguments { get; }

    public GlobalMemory Global { get; }

    public GroupMemory Shared { get; }

    public LocalMemory Local { get; }

    /// <summary>Of every thread.</summary>
    public IReadOnlyList<PendingCopies> Copies { get; }

    /// <summary>In the grid.</summary>
    public int Index { get; private set; }

    /// <summary>Barriers passed.</summary>
    public int Epoch { get; private set; }

    /// <summary>Runs all groups.</summary>
    public void RunAll()
    {
        for (Index = 0; Index < _grid.Size; Index++)
            Run();
    }

    /// <summary>Counts an instruction of a warp.</summary>
    public void Count()
    {
        if (++_instructions > MostInstructions)
            throw new PtxFaultException($"group {Index} does not end");
    }

    /// <summary>The value of a special register in a thread.</summary>
    public ulong Special(string name, int thread) => (ulong)(name switch
    {
        "%tid.x" => thread,
        "%tid.y" or "%tid.z" => 0,
        "%ntid.x" => _threads,
        "%ntid.y" or "%ntid.z" => 1,
        "%ctaid.x" => Index % _grid.X,
        "%ctaid.y" => Index / _grid.X % _grid.Y,
        "%ctaid.z" => Index / (_grid.X * _grid.Y),
        "%nctaid.x" => _grid.X,
        "%nctaid.y" => _grid.Y,
        "%nctaid.z" => _grid.Z,
        "%laneid" => thread % Lanes.Count,
        "%dynamic_smem_size" => _dynamicSharedBytes,
        _ => throw new PtxFaultException($"unknown register {name}"),
    });

    private void Run()
    {
        Shared.Clear();
        Local.Clear();
        foreach (var copies in Copies)
            copies.Clear();
        Epoch = 0;
        _instructions = 0;
        foreach (var warp in _warps)
            warp.Start();
        while (true)
        {
            int waiting = _warps.Count(warp => Run(warp) == WarpState.AtBarrier);
            if (waiting == 0)
                return;
            if (waiting < _warps.Length || _warps.Any(warp => warp.At != _warps[0].At))
                throw new PtxFaultException($"{waiting} of {_warps.Length} warps wait at a barrier, "
                    + $"the first at line {_kernel.Code[_warps[0].At].Line}; others have ended or wait elsewhere");
            Epoch++;
            foreach (var warp in _warps)
                warp.Pass();
        }
    }

    private WarpState Run(Warp warp)
    {
        try
        {
            return warp.Run();
        }
        catch (PtxFaultException fault)
        {
            var instruction = _kernel.Code[warp.At];
            throw new PtxFaultException($"{_kernel.Name}, line {instruction.Line}: {instruction.Text}: {fault.Message}");
        }
    }
}
