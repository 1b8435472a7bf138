using System.Reflection;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;
using ILGPU.IR.Values;
using ILGPU.Runtime.Cuda;
using ILGPU.Util;

namespace Diffusion.Gpu.Kernels;

/// <summary>
/// Instructions of NVIDIA's tensor cores and asynchronous copies (compute capability 8.0), which ILGPU does not know. Kernels call them
/// as methods without a body; <see cref="InstructionText"/> writes their PTX while ILGPU compiles.
/// </summary>
/// <remarks>They go through ILGPU's public registry of intrinsics. Any other backend refuses to compile a kernel that calls one, so only
/// <see cref="CudaTile{TShape, TElement}"/> does. Sums and fragments are registers that PTX names, never values of the kernel: what passes
/// through ILGPU's inline assembly by reference would lie in local memory.</remarks>
internal static class Instructions
{
    /// <summary>Teaches a context's PTX compilers the instructions; before the first accelerator.</summary>
    public static Context.Builder EnableTensorCores(this Context.Builder builder)
    {
        var registry = builder.GetIntrinsicManager();
        foreach (var (calls, texts) in new[]
        {
            (typeof(Instructions), typeof(InstructionText)), (typeof(DoubleInstructions), typeof(DoubleInstructionText)),
            (typeof(WarpgroupInstructions), typeof(WarpgroupInstructionText)),
        })
        {
            var methods = calls.GetMethods(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.DeclaredOnly);
            foreach (var method in methods.Where(method => method.IsDefined(typeof(IntrinsicImplementationAttribute))))
                registry.RegisterMethod(method, new PTXIntrinsic(texts, method.Name, IntrinsicImplementationMode.GenerateCode));
        }
        return builder;
    }

    /// <summary>Declares sums and fragments, zeroes the sums and keeps where shared memory begins. Once a kernel, first of all.</summary>
    [IntrinsicImplementation]
    internal static void Open<TShape>(ref F4 shared)
        where TShape : struct, ITileShape
        => throw OnlyOnCuda();

    /// <summary>The value, which the assembler cannot compute again.</summary>
    [IntrinsicImplementation]
    internal static int Hold(int value) => throw OnlyOnCuda();

    /// <summary>Starts a copy of 16 bytes, or as many zeros, to byte <paramref name="target"/> of shared memory.</summary>
    /// <param name="target">A multiple of 16.</param>
    /// <param name="source">In global memory, at a multiple of 16.</param>
    /// <param name="distance">Bytes from there to what is copied, a constant.</param>
    /// <param name="bytes">16, or 0 for zeros: nothing is read then.</param>
    [IntrinsicImplementation]
    internal static void Copy<TValue>(int target, ref TValue source, int distance, int bytes)
        where TValue : unmanaged
        => throw OnlyOnCuda();

    /// <summary>Closes the group of copies that this thread started since the last call.</summary>
    [IntrinsicImplementation]
    internal static void Commit() => throw OnlyOnCuda();

    /// <summary>Waits until all but the newest Stages − 2 groups of this thread's copies have landed.</summary>
    [IntrinsicImplementation]
    internal static void Wait() => throw OnlyOnCuda();

    /// <summary>Waits for all of this thread's copies.</summary>
    [IntrinsicImplementation]
    internal static void Drain() => throw OnlyOnCuda();

    /// <summary>Keeps where this lane's left fragments lie in any stage: what <see cref="TileLayout.LeftAddress"/> says.</summary>
    [IntrinsicImplementation]
    internal static void AnchorLeft(int address) => throw OnlyOnCuda();

    /// <summary>The same of the right ones: <see cref="TileLayout.RightAddress"/>, behind the left panel.</summary>
    [IntrinsicImplementation]
    internal static void AnchorRight(int address) => throw OnlyOnCuda();

    /// <summary>Loads the left fragments of half a stage, <paramref name="half"/> being a constant; see <see cref="ITile"/>.</summary>
    [IntrinsicImplementation]
    internal static void LoadLeft<TShape, TElement, TOrder>(int stage, int half)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => throw OnlyOnCuda();

    /// <summary>Loads the right fragments likewise.</summary>
    [IntrinsicImplementation]
    internal static void LoadRight<TShape, TElement, TOrder>(int stage, int half)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
        => throw OnlyOnCuda();

    /// <summary>Adds the products of all left and right fragments to the sums.</summary>
    [IntrinsicImplementation]
    internal static void Step<TShape, TElement>()
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        => throw OnlyOnCuda();

    /// <summary>Writes 16 lines of the warp's sums to shared memory.</summary>
    [IntrinsicImplementation]
    internal static void Spill<TShape, TElement, TLeftOrder>(int fragment, int target)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
        => throw OnlyOnCuda();

    internal static NotSupportedException OnlyOnCuda() => new("tensor cores are NVIDIA's; other devices run EmulatedTile");
}

/// <summary>The PTX of <see cref="Instructions"/>: one method each, of the same name and type parameters.</summary>
/// <remarks>Registers sum, left, right, leftAt, rightAt and sharedBase belong to the kernel; names inside braces to one instruction.
/// </remarks>
internal static class InstructionText
{
    /// <summary>Addresses of a lane in a stage that differ by more than a constant.</summary>
    private const int Spreads = 4;

    public static void Open<TShape>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
    {
        int lefts = TileShape<TShape>.LeftFragments, rights = TileShape<TShape>.RightFragments;
        Write(code, $".reg .f32 sum<{4 * lefts * rights}>; .reg .b32 left<{4 * lefts}>, right<{2 * rights}>, "
            + $"leftAt<{Spreads}>, rightAt<{Spreads}>, sharedBase;");
        // ILGPU passes the address within shared memory, not a generic one: a conversion would take the window's base off once more.
        Write(code, $"cvt.u32.u64 sharedBase, {Argument(code, call, 0)};");
        for (int i = 0; i < 4 * lefts * rights; i++)
            Write(code, $"mov.f32 sum{i}, 0f00000000;");
    }

    public static void Hold(PTXBackend backend, PTXCodeGenerator code, Value call)
        => HoldIn(code, "%" + PTXRegisterAllocator.GetStringRepresentation(code.AllocateHardware(call)), Argument(code, call, 0));

    /// <summary>Past the first cache: the next stage never reads the bytes again.</summary>
    public static void Copy<TValue>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TValue : unmanaged
        => Write(code, $"{{ .reg .u32 s; add.u32 s, sharedBase, {Argument(code, call, 0)}; "
            + $"cp.async.cg.shared.global [s], [{Argument(code, call, 1)}+{Constant(call, 2)}], 16, {Argument(code, call, 3)}; }}");

    public static void Commit(PTXBackend backend, PTXCodeGenerator code, Value call) => Write(code, "cp.async.commit_group;");

    public static void Wait(PTXBackend backend, PTXCodeGenerator code, Value call)
        => Write(code, $"cp.async.wait_group {TileLayout.Stages - 2};");

    public static void Drain(PTXBackend backend, PTXCodeGenerator code, Value call) => Write(code, "cp.async.wait_all;");

    public static void AnchorLeft(PTXBackend backend, PTXCodeGenerator code, Value call)
        => Anchor(code, "leftAt", Argument(code, call, 0));

    public static void AnchorRight(PTXBackend backend, PTXCodeGenerator code, Value call)
        => Anchor(code, "rightAt", Argument(code, call, 0));

    public static void LoadLeft<TShape, TElement, TOrder>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
    {
        int fragments = TileShape<TShape>.LeftFragments;
        string stage = Argument(code, call, 0);
        int half = Constant(call, 1);
        if (TOrder.ColumnsAreDepth)
            LoadMatrices(code, "left", fragments, stage, half);
        else if (TElement.ByteShift == 1)
            LoadTransposed<TElement>(code, "left", fragments, stage, half);
        else
        {
            // A fragment's four registers: two lines at depth t, then both at depth t + 4.
            for (int i = 0; i < fragments; i++)
            {
                int first = TileLayout.Repeat<TElement>(64 * i) + TileLayout.HalfBlock<TElement>(half);
                int far = first + (4 * TileLayout.RowBytes);
                Write(code, $"{{ .reg .u32 s; add.u32 s, {At("left", 64 * i)}, {stage}; "
                    + $"ld.shared.v2.b32 {List("left", 4 * i, 2)}, [s+{first}]; "
                    + $"ld.shared.v2.b32 {List("left", (4 * i) + 2, 2)}, [s+{far}]; }}");
            }
        }
    }

    public static void LoadRight<TShape, TElement, TOrder>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TOrder : struct, IOperandOrder
    {
        int fragments = TileShape<TShape>.RightFragments;
        string stage = Argument(code, call, 0);
        int half = Constant(call, 1);
        if (TOrder.ColumnsAreDepth)
            LoadMatrices(code, "right", fragments / 2, stage, half);
        else if (TElement.ByteShift == 1)
            LoadTransposed<TElement>(code, "right", fragments / 2, stage, half);
        else
        {
            // Two registers: a column at depth t and at depth t + 4.
            for (int i = 0; i < fragments; i++)
            {
                int first = TileLayout.Repeat<TElement>(32 * i) + TileLayout.HalfBlock<TElement>(half);
                int far = first + (4 * TileLayout.RowBytes);
                Write(code, $"{{ .reg .u32 s; add.u32 s, {At("right", 32 * i)}, {stage}; "
                    + $"ld.shared.b32 right{2 * i}, [s+{first}]; ld.shared.b32 right{(2 * i) + 1}, [s+{far}]; }}");
            }
        }
    }

    public static void Step<TShape, TElement>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
    {
        int lefts = TileShape<TShape>.LeftFragments, rights = TileShape<TShape>.RightFragments;
        for (int i = 0; i < lefts; i++)
        {
            for (int j = 0; j < rights; j++)
            {
                string sums = List("sum", 4 * ((i * rights) + j), 4);
                Write(code, $"{TElement.Product} {sums}, {List("left", 4 * i, 4)}, {List("right", 2 * j, 2)}, {sums};");
            }
        }
    }

    public static void Spill<TShape, TElement, TLeftOrder>(PTXBackend backend, PTXCodeGenerator code, Value call)
        where TShape : struct, ITileShape
        where TElement : struct, ITileElement
        where TLeftOrder : struct, IOperandOrder
    {
        // Registers have fixed names while the fragment is a number: every line of fragments has its stores, under a predicate.
        int lefts = TileShape<TShape>.LeftFragments, rights = TileShape<TShape>.RightFragments;
        int step = sizeof(float) * TileLayout.SpillStep<TElement, TLeftOrder>() * TileLayout.SpillPitch<TShape, TElement, TLeftOrder>();
        Write(code, $"{{ .reg .u32 s; .reg .pred p; add.u32 s, sharedBase, {Argument(code, call, 1)};");
        for (int i = 0; i < lefts; i++)
        {
            Write(code, $"setp.eq.u32 p, {Argument(code, call, 0)}, {i};");
            StoreSums(code, i * rights, rights, step);
        }
        Write(code, "}");
    }

    /// <summary>Writes fragments of 16 lines and 8 columns, four sums each, side by side to address s where predicate p holds.</summary>
    /// <param name="code">What is being compiled.</param>
    /// <param name="first">The first fragment.</param>
    /// <param name="count">How many.</param>
    /// <param name="step">Bytes from a lane's first two sums of a fragment to the other two.</param>
    internal static void StoreSums(PTXCodeGenerator code, int first, int count, int step)
    {
        for (int j = 0; j < count; j++)
        {
            int sum = 4 * (first + j);
            Write(code, $"@p st.shared.v2.f32 [s+{32 * j}], {List("sum", sum, 2)};");
            Write(code, $"@p st.shared.v2.f32 [s+{(32 * j) + step}], {List("sum", sum + 2, 2)};");
        }
    }

    /// <summary>Four 8 × 8 matrices of 16-bit values at a time, which are four 8 × 4 matrices of 32-bit values.</summary>
    private static void LoadMatrices(PTXCodeGenerator code, string bank, int count, string stage, int half)
    {
        Write(code, $"{{ .reg .u32 s; add.u32 s, {At(bank, TileLayout.HalfStageBytes * half)}, {stage};");
        for (int i = 0; i < count; i++)
            Write(code, $"ldmatrix.sync.aligned.m8n8.x4.shared.b16 {List(bank, 4 * i, 4)}, [s+{16 * TileLayout.LineBytes * i}];");
        Write(code, "}");
    }

    /// <summary>The same of 16-bit values whose depth lies in rows: each matrix is turned on its way.</summary>
    private static void LoadTransposed<TElement>(PTXCodeGenerator code, string bank, int count, string stage, int half)
        where TElement : struct, ITileElement
    {
        for (int i = 0; i < count; i++)
        {
            Write(code, $"{{ .reg .u32 s; add.u32 s, {At(bank, 32 * i)}, {stage}; "
                + $"ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {List(bank, 4 * i, 4)}, "
                + $"[s+{TileLayout.Repeat<TElement>(32 * i) + TileLayout.HalfBlock<TElement>(half)}]; }}");
        }
    }

    /// <summary>A fragment's address differs from the first one's by exclusive-or with a multiple of 32 bytes, and a constant.</summary>
    private static void Anchor(PTXCodeGenerator code, string bank, string address)
    {
        for (int i = 0; i < Spreads; i++)
        {
            Write(code, $"{{ .reg .b32 s; xor.b32 s, {address}, {32 * i}; add.u32 s, s, sharedBase;");
            HoldIn(code, $"{bank}{i}", "s");
            Write(code, "}");
        }
    }

    private static string At(string bank, int bytes) => $"{bank}At{TileLayout.Spread(bytes) / 32}";

    /// <summary>Every lane gives itself the value: the assembler takes what comes out of a shuffle for unknown.</summary>
    private static void HoldIn(PTXCodeGenerator code, string result, string value)
        => Write(code, $"{{ .reg .b32 lane; mov.u32 lane, %laneid; shfl.sync.idx.b32 {result}, {value}, lane, 31, 0xffffffff; }}");

    internal static string List(string bank, int first, int count)
        => "{" + string.Join(", ", Enumerable.Range(first, count).Select(i => $"{bank}{i}")) + "}";

    internal static void Write(PTXCodeGenerator code, string text) => code.Builder.Append('\t').AppendLine(text);

    /// <summary>A call's argument that is known while compiling.</summary>
    internal static int Constant(Value call, int index) => call[index].ResolveAs<PrimitiveValue>()!.Int32Value;

    /// <summary>The register of a call's argument.</summary>
    internal static string Argument(PTXCodeGenerator code, Value call, int index)
        => "%" + PTXRegisterAllocator.GetStringRepresentation(code.EnsureHardwareRegister(code.LoadPrimitive(call[index])));
}
