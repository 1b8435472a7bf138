using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;

namespace Diffusion.Gpu.Kernels;

/// <summary>Matrix instructions in double precision (compute capability 8.0); see <see cref="Instructions"/>.</summary>
internal static class DoubleInstructions
{
    /// <summary>Declares 32 sums and zeroes them. Once a kernel, first of all.</summary>
    [IntrinsicImplementation]
    internal static void OpenDouble() => throw Instructions.OnlyOnCuda();

    /// <summary>Adds to the sums of four fragments by four the products over a depth of 4.</summary>
    [IntrinsicImplementation]
    internal static void StepDouble(double a0, double a1, double a2, double a3, double b0, double b1, double b2, double b3)
        => throw Instructions.OnlyOnCuda();

    /// <summary>A sum; <paramref name="index"/> is a constant.</summary>
    [IntrinsicImplementation]
    internal static double SumDouble(int index) => throw Instructions.OnlyOnCuda();
}

/// <summary>The PTX of <see cref="DoubleInstructions"/>: one method each, of the same name.</summary>
internal static class DoubleInstructionText
{
    public static void OpenDouble(PTXBackend backend, PTXCodeGenerator code, Value call)
    {
        InstructionText.Write(code, $".reg .f64 dsum<{DoubleTile.Sums}>;");
        for (int i = 0; i < DoubleTile.Sums; i++)
            InstructionText.Write(code, $"mov.f64 dsum{i}, 0d0000000000000000;");
    }

    public static void StepDouble(PTXBackend backend, PTXCodeGenerator code, Value call)
    {
        for (int i = 0; i < DoubleTile.Fragments; i++)
        {
            string a = InstructionText.Argument(code, call, i);
            for (int j = 0; j < DoubleTile.Fragments; j++)
            {
                string b = InstructionText.Argument(code, call, DoubleTile.Fragments + j);
                string sums = InstructionText.List("dsum", 2 * ((i * DoubleTile.Fragments) + j), 2);
                InstructionText.Write(code, $"mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {sums}, {{{a}}}, {{{b}}}, {sums};");
            }
        }
    }

    public static void SumDouble(PTXBackend backend, PTXCodeGenerator code, Value call)
    {
        string target = "%" + PTXRegisterAllocator.GetStringRepresentation(code.AllocateHardware(call));
        InstructionText.Write(code, $"mov.f64 {target}, dsum{InstructionText.Constant(call, 0)};");
    }
}
