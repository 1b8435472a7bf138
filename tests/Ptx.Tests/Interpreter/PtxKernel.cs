namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>A kernel's PTX, decoded for a warp to run.</summary>
/// <param name="Name">The entry's.</param>
/// <param name="Parameters">In order.</param>
/// <param name="Code">All instructions; a branch names its target by index.</param>
/// <param name="Rows">Registers of a thread, of 64 bits each: those declared, then constants and special registers.</param>
/// <param name="Constants">Rows that hold the same number in every thread.</param>
/// <param name="Special">Rows by the special register that they hold.</param>
/// <param name="StaticSharedBytes">Shared memory that the kernel reserves, in front of what the launch gives.</param>
/// <param name="LocalBytes">Memory of one thread.</param>
internal sealed record PtxKernel(string Name, IReadOnlyList<PtxParameter> Parameters, IReadOnlyList<PtxInstruction> Code, int Rows,
    IReadOnlyDictionary<ulong, int> Constants, IReadOnlyDictionary<string, int> Special, int StaticSharedBytes,
    int LocalBytes)
{
    /// <summary>Where shared memory begins: chips with tensor cores keep the first 1024 bytes, so no address is 0.</summary>
    public const int SharedBase = 1024;

    /// <summary>Size of all parameters.</summary>
    public int ParameterBytes => Parameters.Count == 0 ? 0 : Parameters[^1].Offset + Parameters[^1].Bytes;
}

/// <summary>The memories of a launch.</summary>
internal enum PtxSpace
{
    Global,
    Shared,
    Local,
}

/// <summary>One argument of a kernel.</summary>
internal readonly record struct PtxParameter(string Name, int Offset, int Bytes);

/// <summary>One instruction.</summary>
internal abstract class PtxInstruction
{
    /// <summary>As it stands in the kernel's text.</summary>
    public string Text { get; set; } = "";

    /// <summary>Of the text, counted from 1.</summary>
    public int Line { get; set; }

    /// <summary>Row of the predicate that it runs under, or -1.</summary>
    public int Guard { get; set; } = -1;

    /// <summary>Whether it runs where the predicate is false.</summary>
    public bool IsGuardNegated { get; set; }

    /// <summary>Whether all threads of a warp must run it together.</summary>
    public virtual bool IsCollective => false;

    /// <summary>Runs it for some lanes of a warp.</summary>
    /// <param name="warp">Registers and memory.</param>
    /// <param name="lanes">One bit a lane.</param>
    public abstract void Run(Warp warp, uint lanes);
}

/// <summary>bra; the warp follows it.</summary>
internal sealed class Branch(string label, bool isUniform) : PtxInstruction
{
    /// <summary>Index of the next instruction where it is taken.</summary>
    public int Target { get; set; } = -1;

    public string Label => label;

    /// <summary>Whether the text promises that all threads that run it go the same way.</summary>
    public bool IsUniform => isUniform;

    public override void Run(Warp warp, uint lanes) => throw new InvalidOperationException("the warp follows branches");
}

/// <summary>ret and exit; the warp ends these lanes.</summary>
internal sealed class Return : PtxInstruction
{
    public override void Run(Warp warp, uint lanes) => throw new InvalidOperationException("the warp ends lanes");
}

/// <summary>bar.sync 0; the group waits for all of its warps.</summary>
internal sealed class GroupBarrier : PtxInstruction
{
    public override bool IsCollective => true;

    public override void Run(Warp warp, uint lanes) => throw new InvalidOperationException("the group passes barriers");
}
