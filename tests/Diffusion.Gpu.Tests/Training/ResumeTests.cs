using Diffusion.Gpu.Kernels.OpCases;

namespace Diffusion.Gpu.Tests.Training;

/// <summary>A run that is cut off goes on with the same bits, on every device.</summary>
[TestFixtureSource(typeof(TestDevices), nameof(TestDevices.Fast))]
internal sealed class ResumeTests(string id)
{
    [Test]
    public void Resumed_run_computes_the_bits_of_an_uninterrupted_one()
    {
        using var run = new TinyRun(TestDevices.Open(id));
        var options = TinyRun.Random with { Trainer = TinyRun.Random.Trainer with { TrainNumSteps = 7, SaveAndSampleEvery = 3 } };
        var whole = run.Train("whole", options);
        run.TrainAndKill("cut", options, afterStep: 5);
        Assert.That(run.Losses("cut"), Has.Length.EqualTo(5));
        var resumed = run.GoOn("cut");
        run.CheckSame("whole", whole, "cut", resumed);
        Assert.That(TestDevices.Open(id).TakeStrayWrites(), Is.Empty);
    }
}
