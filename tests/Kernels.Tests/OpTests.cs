using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Kernels.Tests;

/// <summary>Every op case on every device but the emulator.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
public sealed class OpTests(string id)
{
    private OpChecks _checks = null!;

    private static IEnumerable<OpCase> Cases => Catalogue.All;

    private static IEnumerable<OpCase> CasesWithGradient => Cases.Where(opCase => opCase.HasGradient);

    [OneTimeSetUp]
    public void OpenDevice() => _checks = new OpChecks(TestDevices.Open(id));

    [TestCaseSource(nameof(Cases))]
    public void Result_matches_reference(OpCase opCase) => _checks.Result(opCase);

    [TestCaseSource(nameof(CasesWithGradient))]
    public void Gradients_match_differences_of_reference(OpCase opCase) => _checks.Gradients(opCase);

    [TestCaseSource(nameof(CasesWithGradient))]
    public void Gradients_of_two_passes_add(OpCase opCase) => _checks.Accumulation(opCase);
}

/// <summary>The smallest op cases on ILGPU's kernel emulator, which sees races and stray reads but is a thousand times slower.</summary>
[TestFixture("emulator")]
public sealed class EmulatorOpTests(string id)
{
    private OpChecks _checks = null!;

    private static IEnumerable<OpCase> Cases => Catalogue.All.Where(opCase => opCase.Tiny);

    private static IEnumerable<OpCase> CasesWithGradient => Cases.Where(opCase => opCase.HasGradient);

    [OneTimeSetUp]
    public void OpenDevice() => _checks = new OpChecks(TestDevices.Open(id));

    [TestCaseSource(nameof(Cases))]
    public void Result_matches_reference(OpCase opCase) => _checks.Result(opCase);

    [TestCaseSource(nameof(CasesWithGradient))]
    public void Gradients_match_differences_of_reference(OpCase opCase) => _checks.Gradients(opCase);

    [TestCaseSource(nameof(CasesWithGradient))]
    public void Gradients_of_two_passes_add(OpCase opCase) => _checks.Accumulation(opCase);
}
