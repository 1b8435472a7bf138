using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Kernels.Tests;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Every op case with its gradients by the PTX of all the kernels that it launches on an NVIDIA GPU, in 32 bits.</summary>
public sealed class InterpretedOpTests
{
    private static readonly Device Interpreted = InterpretedDevice.Open(Precision.Float32);

    /// <summary>The same ops with products in double precision by matrix instructions.</summary>
    private static readonly Device WithTensorCores = InterpretedDevice.Open(Precision.Tf32);

    /// <summary>Beyond, a case takes seconds here, and larger ones launch no other kernels.</summary>
    private const int MostValues = 5_000;
    private const int MostProducts = 20_000;

    private static IEnumerable<OpCase> Cases
        => Catalogue.All.Where(opCase => opCase.Inputs.Sum(input => input.Shape.Count) <= MostValues && Products(opCase) <= MostProducts);

    private static long Products(OpCase opCase)
        => opCase.Inputs.FirstOrDefault(input => input.Name == "filter") is { Shape: var filter }
            ? opCase.Inputs[0].Shape.Count * filter.Count / filter[^1] : 0;

    private static IEnumerable<OpCase> CasesWithGradient => Cases.Where(opCase => opCase.HasGradient);

    private static IEnumerable<OpCase> Matrices => Catalogue.Matrix;

    [OneTimeTearDown]
    public void Close()
    {
        Interpreted.Dispose();
        WithTensorCores.Dispose();
    }

    [TestCaseSource(nameof(Cases))]
    public void Result_matches_reference(OpCase opCase) => new OpChecks(Interpreted).Result(opCase);

    [TestCaseSource(nameof(CasesWithGradient))]
    public void Gradients_match_differences_of_reference(OpCase opCase) => new OpChecks(Interpreted).Gradients(opCase);

    [TestCaseSource(nameof(Matrices))]
    public void Result_matches_reference_with_matrix_instructions(OpCase opCase) => new OpChecks(WithTensorCores).Result(opCase);
}
